package traci

import "fmt"

// header reads a command's length and id and returns its body.
func (d *decoder) header() (cmd byte, body decoder) {
	before := len(d.b)
	n := int(d.ubyte())
	if n == 0 {
		n = d.int()
	}
	n -= before - len(d.b) // what is left of the command
	if n < 1 {
		d.fail(errShort)
		return 0, decoder{err: errShort}
	}
	b := d.take(n)
	if d.err != nil {
		return 0, decoder{err: d.err}
	}
	return b[0], decoder{b: b[1:]}
}

// command reads a command that must have the given id.
func (d *decoder) command(want byte) decoder {
	cmd, body := d.header()
	if body.err == nil && cmd != want {
		body.err = fmt.Errorf("answer 0x%02x where 0x%02x was due", cmd, want)
	}
	return body
}

// answer reads the answer to a question.
func (d *decoder) answer(question byte, h Handler) error {
	body := d.command(question + answerOffset)
	variable, id := body.ubyte(), body.bytes()
	v := body.value()
	if body.err == nil && h != nil {
		h(Domain(question&0x0f), nil, id, variable, v)
	}
	return body.err
}

// subscription reads the answer to one subscription.
func (d *decoder) subscription(h Handler) error {
	cmd, body := d.header()
	if body.err != nil {
		return body.err
	}
	domain := Domain(cmd & 0x0f)
	id := body.bytes()
	switch cmd & 0xf0 {
	case cmdSubscribe + answerOffset:
		return body.variables(domain, nil, id, int(body.ubyte()), h)
	case cmdContext + answerOffset:
		of := Domain(body.ubyte() & 0x0f)
		variables, objects := int(body.ubyte()), body.int()
		for range objects {
			object := body.bytes()
			if err := body.variables(of, id, object, variables, h); err != nil {
				return err
			}
		}
		return body.err
	}
	return fmt.Errorf("answer 0x%02x where a subscription's was due", cmd)
}

func (d *decoder) variables(domain Domain, context, id []byte, n int, h Handler) error {
	for range n {
		variable, result := d.ubyte(), d.ubyte()
		v := d.value()
		if d.err != nil {
			return d.err
		}
		if result != resultOK {
			return &Error{What: fmt.Sprintf("report variable 0x%02x of %s %q", variable, domain, id), Text: string(v.Text())}
		}
		if h != nil {
			h(domain, context, id, variable, v)
		}
	}
	return d.err
}
