package record

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// write writes a value of any type as JSON. Unlike encoding/json it writes NaN and
// infinity, as texts, and lists their paths; inside of structs they are an error.
func (c *codec) write(v any, depth int) {
	if c.err != nil {
		return
	}
	switch v := v.(type) {
	case nil:
		c.dst = append(c.dst, "null"...)
	case bool:
		c.dst = strconv.AppendBool(c.dst, v)
	case string:
		c.writeString(v)
	case float64:
		c.writeNumber(v, 64)
	case float32:
		c.writeNumber(float64(v), 32)
	case int:
		c.dst = strconv.AppendInt(c.dst, int64(v), 10)
	case int64:
		c.dst = strconv.AppendInt(c.dst, v, 10)
	case map[string]any:
		c.writeMap(v, depth)
	case map[string]float64:
		if v == nil {
			c.dst = append(c.dst, "null"...)
		} else if c.deeper(depth) {
			c.writeNumbers(v)
		}
	case []any:
		writeList(c, v, depth, func(x any) { c.write(x, depth+1) })
	case []float64:
		writeList(c, v, depth, func(x float64) { c.writeNumber(x, 64) })
	case []float32:
		writeList(c, v, depth, func(x float32) { c.writeNumber(float64(x), 32) })
	case []int:
		writeList(c, v, depth, func(x int) { c.dst = strconv.AppendInt(c.dst, int64(x), 10) })
	case []string:
		writeList(c, v, depth, c.writeString)
	case json.RawMessage:
		if v == nil {
			c.dst = append(c.dst, "null"...)
		} else {
			c.writeRaw(v, depth)
		}
	case json.Marshaler, encoding.TextMarshaler:
		c.marshal(v, depth)
	default:
		c.reflect(reflect.ValueOf(v), depth)
	}
}

func (c *codec) writeString(s string) {
	if strings.IndexByte(s, 0) >= 0 {
		c.refuse(string(c.path), shorten(appendText(nil, s)), ruleNUL)
	}
	c.dst = appendText(c.dst, s)
}

// deeper reports whether another level of nesting is allowed.
func (c *codec) deeper(depth int) bool {
	if depth >= maxDepth {
		c.refuse(shorten(c.path), "there", ruleDepth)
		return false
	}
	return c.err == nil
}

func (c *codec) writeMap(m map[string]any, depth int) {
	if m == nil {
		c.dst = append(c.dst, "null"...)
		return
	}
	if !c.deeper(depth) {
		return
	}
	c.dst = append(c.dst, '{')
	from := len(c.keys)
	for k := range m {
		c.keys = append(c.keys, k)
	}
	to := len(c.keys)
	slices.Sort(c.keys[from:])
	for i := from; i < to; i++ {
		k := c.keys[i]
		length := c.enter(k, i > from)
		c.write(m[k], depth+1)
		c.path = c.path[:length]
	}
	c.keys = c.keys[:from]
	c.dst = append(c.dst, '}')
}

func writeList[T any](c *codec, list []T, depth int, write func(T)) {
	if list == nil {
		c.dst = append(c.dst, "null"...)
		return
	}
	if !c.deeper(depth) {
		return
	}
	c.dst = append(c.dst, '[')
	length := len(c.path)
	for i, x := range list {
		if i > 0 {
			c.dst = append(c.dst, ',')
		}
		c.path = appendIndex(c.path[:length], i)
		write(x)
	}
	c.path = c.path[:length]
	c.dst = append(c.dst, ']')
}

// writeRaw writes JSON that somebody else has written.
func (c *codec) writeRaw(raw []byte, depth int) {
	w := rewriter{scanner: scanner{data: raw}, dst: c.dst, path: c.path, found: &c.found, texts: true}
	i := w.space(0)
	end := w.scanner.value(i, depth)
	if end >= 0 && w.space(end) != len(raw) {
		end = w.fail(w.space(end), ruleSyntax)
	}
	if end < 0 {
		c.refuse(pathTo(slices.Clone(c.path), raw[i:], w.at-i), shorten(raw), w.rule)
		return
	}
	if !w.dirty {
		c.dst = append(c.dst, raw[i:end]...)
		return
	}
	length := len(c.path)
	w.value(i)
	c.dst, c.path = w.dst, w.path[:length]
}

func (c *codec) marshal(v any, depth int) {
	raw, err := json.Marshal(v)
	if err != nil {
		rule := "must be writable as JSON: " + err.Error()
		if bad := (*json.UnsupportedValueError)(nil); errors.As(err, &bad) {
			rule = "must be writable as JSON; a struct cannot hold NaN or infinity, a map or a list can"
		}
		c.refuse(string(c.path), fmt.Sprintf("a %T", v), rule)
		return
	}
	c.writeRaw(raw, depth)
}

// reflect writes values of types that write does not name.
func (c *codec) reflect(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Bool:
		c.dst = strconv.AppendBool(c.dst, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		c.dst = strconv.AppendInt(c.dst, v.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		c.dst = strconv.AppendUint(c.dst, v.Uint(), 10)
	case reflect.Float32:
		c.writeNumber(v.Float(), 32)
	case reflect.Float64:
		c.writeNumber(v.Float(), 64)
	case reflect.String:
		if v.Type() == reflect.TypeFor[json.Number]() {
			c.marshal(v.Interface(), depth)
			return
		}
		c.writeString(v.String())
	case reflect.Pointer:
		if v.IsNil() {
			c.dst = append(c.dst, "null"...)
		} else if c.deeper(depth) { // a pointer may lead back to itself
			c.write(v.Elem().Interface(), depth+1)
		}
	case reflect.Map:
		c.reflectMap(v, depth)
	case reflect.Slice, reflect.Array:
		c.reflectList(v, depth)
	default:
		c.marshal(v.Interface(), depth)
	}
}

func (c *codec) reflectMap(v reflect.Value, depth int) {
	if v.Type().Key().Kind() != reflect.String || v.Type().Key().Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		if !isNumberKind(v.Type().Key().Kind()) {
			c.marshal(v.Interface(), depth)
			return
		}
	}
	if v.IsNil() {
		c.dst = append(c.dst, "null"...)
		return
	}
	m := make(map[string]any, v.Len())
	for it := v.MapRange(); it.Next(); {
		m[keyText(it.Key())] = it.Value().Interface()
	}
	c.writeMap(m, depth)
}

func isNumberKind(k reflect.Kind) bool { return k >= reflect.Int && k <= reflect.Uintptr }

func keyText(k reflect.Value) string {
	switch {
	case k.Kind() == reflect.String:
		return k.String()
	case k.CanInt():
		return strconv.FormatInt(k.Int(), 10)
	}
	return strconv.FormatUint(k.Uint(), 10)
}

func (c *codec) reflectList(v reflect.Value, depth int) {
	if v.Kind() == reflect.Slice && (v.IsNil() || v.Type().Elem().Kind() == reflect.Uint8) {
		c.marshal(v.Interface(), depth) // null, or bytes in base64
		return
	}
	list := make([]any, v.Len())
	for i := range list {
		list[i] = v.Index(i).Interface()
	}
	writeList(c, list, depth, func(x any) { c.write(x, depth+1) })
}
