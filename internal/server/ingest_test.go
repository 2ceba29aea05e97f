package server_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/greenwave-traffic/greenwave/internal/server"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/wire"
)

func pack(t testing.TB, encoding string, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	switch encoding {
	case "gzip":
		z := gzip.NewWriter(&b)
		if _, err := z.Write(body); err != nil || z.Close() != nil {
			t.Fatal(err)
		}
	case "zstd":
		z, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := z.Write(body); err != nil || z.Close() != nil {
			t.Fatal(err)
		}
	default:
		return body
	}
	return b.Bytes()
}

// TestRecordsInEveryForm: plain, gzip, zstd; with a header or with the address alone;
// sent twice they are known again.
func TestRecordsInEveryForm(t *testing.T) {
	databases(t, func(t *testing.T, st store.Store) {
		w := serve(t, st, server.Options{})
		for _, encoding := range []string{"", "identity", "gzip", "zstd", "GZIP"} {
			s := w.sender("in " + encoding)
			s.log("step", `{"episode_number":1,"step_number":0}`).log("episode", `{"episode_number":1,"total_reward":2}`).log("end", `{"status":"completed"}`)
			body := pack(t, strings.ToLower(encoding), s.take())
			for round := range 2 {
				r := w.receipt(w.ask("POST", s.path(""), body, "Content-Type", ndjson+"; charset=utf-8", "Content-Encoding", encoding))
				want := wire.Counts{Stored: 3}
				if round == 1 {
					want = wire.Counts{Repeated: 3}
				}
				if r.Applied != want || r.Cursor != 3 || r.Status != "completed" || len(r.Results) != 3 {
					t.Errorf("%s, round %d: %+v", encoding, round, r)
				}
				for i, o := range r.Results {
					if o.Seq != uint64(i+1) || o.Outcome != "stored" || o.Repeated != (round == 1) {
						t.Errorf("%s, round %d: %+v", encoding, round, o)
					}
				}
			}
			var p rows
			if w.get("/api/v1/experiments/"+"in%20"+encoding+"/steps", &p); len(p.Items) != 1 {
				t.Errorf("%s: %d steps", encoding, len(p.Items))
			}
		}
	})
}

// TestRecordsOneByOne: what becomes of each record is said for each record.
func TestRecordsOneByOne(t *testing.T) {
	databases(t, func(t *testing.T, st store.Store) {
		w := serve(t, st, server.Options{})
		later := w.sender("corridor")
		later.at = noon.Add(time.Hour)
		later.log("episode", `{"episode_number":1,"total_reward":100}`).send()

		s := w.sender("corridor")
		s.log("episode", `{"episode_number":1,"total_reward":2}`)                 // lost: logged before
		s.log("step", `{"episode_number":1,"step_number":1,"odd":{"kept":true}}`) // stored
		s.log("episode", `{"episode_number":"two"}`)                              // breaks a rule
		s.log("dead", `{"kind":"step","reason":"the line is damaged","where":"00001.jsonl:7"}`)
		s.log("feeling", `{"mood":1}`)                             // no such kind
		s.log("step", `{"episode_number":1,"step_number":2}`)      // stored, and then ...
		s.log("step", `{"episode_number":1,"step_number":2}`)      // ... lost to this one
		s.log("episode", `{"episode_number":3,"total_reward":[]}`) // breaks a rule
		r := s.send()
		if r.Applied != (wire.Counts{Stored: 2, Superseded: 2, Refused: 4}) || r.Cursor != 8 || r.Dead != 4 {
			t.Errorf("the receipt is %+v", r)
		}
		for i, want := range []string{"superseded", "stored", "refused episode_number", "refused the line is damaged", "refused feeling", "superseded", "stored", "refused total_reward"} {
			outcome, reason, _ := strings.Cut(want, " ")
			if o := r.Results[i]; o.Outcome != outcome || !strings.Contains(o.Reason, reason) || (reason == "") != (o.Reason == "") {
				t.Errorf("record %d: %+v, want %s", i+1, o, want)
			}
		}
		var dead wire.DeadLetters
		if w.get("/api/v1/dead-letters?runs="+s.run, &dead); len(dead.Items) != 4 || dead.Items[1].Where != "00001.jsonl:7" || dead.Items[1].Kind != "step" {
			t.Errorf("the dead letters are %+v", dead)
		}
		// brief leaves the list out.
		if r := w.receipt(w.ask("POST", s.path("&brief=true"), s.log("heartbeat", `{}`).take(), "Content-Type", ndjson)); r.Results != nil || r.Applied.Stored != 1 {
			t.Errorf("brief: %+v", r)
		}
		if r := w.receipt(w.ask("POST", s.path("&brief=false"), s.log("heartbeat", `{}`).take(), "Content-Type", ndjson)); len(r.Results) != 1 {
			t.Errorf("brief=false: %+v", r)
		}
	})
}

// TestRecordTheDatabaseRefuses: one record that the database does not take, by a rule
// that only the database knows, does not hold the others up.
func TestRecordTheDatabaseRefuses(t *testing.T) {
	st := newSQLite(t)
	db, err := sql.Open("sqlite", strings.TrimPrefix(st.Name(), "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), `CREATE TRIGGER odd BEFORE INSERT ON training_steps WHEN NEW.step_number = 7
		BEGIN SELECT RAISE(ABORT, 'seven is not wanted here'); END`); err != nil {
		t.Fatal(err)
	}
	w := serve(t, st, server.Options{})
	s := w.sender("corridor")
	for i := range 20 {
		s.log("step", `{"episode_number":1,"step_number":%d}`, i)
	}
	r := s.send()
	if r.Applied != (wire.Counts{Stored: 19, Refused: 1}) || !strings.Contains(r.Results[7].Reason, "seven is not wanted") || r.Cursor != 20 || r.Dead != 1 {
		t.Errorf("the receipt is %+v", r)
	}
	// A database that refuses everything is broken: nothing more is buried.
	if _, err := db.ExecContext(t.Context(), `CREATE TRIGGER all_odd BEFORE INSERT ON training_steps BEGIN SELECT RAISE(ABORT, 'nothing is wanted'); END`); err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		s.log("step", `{"episode_number":2,"step_number":%d}`, i)
	}
	a := w.ask("POST", s.path(""), s.take(), "Content-Type", ndjson)
	a.failure(t, 422, wire.CodeRefused)
	var states wire.States
	if w.get("/api/v1/states?runs="+s.run, &states); states.Items[0].Dead > 101 {
		t.Errorf("%d records were buried", states.Items[0].Dead)
	}
}

// TestBadBodies: what cannot be read is refused whole, with the line, and nothing of it
// is stored.
func TestBadBodies(t *testing.T) {
	databases(t, func(t *testing.T, st store.Store) {
		w := serve(t, st, server.Options{MaxBody: 4096, MaxRecord: 1024})
		good := `{"seq":1,"time":"2026-03-01T12:00:00Z","kind":"episode","data":{"episode_number":1,"total_reward":2}}` + "\n"
		second := strings.Replace(good, `"seq":1`, `"seq":2`, 1)
		long := `{"seq":2,"time":"2026-03-01T12:00:01Z","kind":"episode","data":{"episode_number":2,"note":"` + strings.Repeat("x", 1200) + `"}}`
		huge := good + strings.Repeat(`{"seq":2,"time":"2026-03-01T12:00:01Z","kind":"heartbeat","data":{}}`+strings.Repeat(" ", 900)+"\n", 6)
		for _, c := range []struct {
			what, body, kind, encoding string
			status                     int
			code, says                 string
		}{
			{"malformed in the middle", good + "{\"seq\":2,\n" + second, ndjson, "", 400, wire.CodeBadLine, "line 2"},
			{"a line that is no object", good + "[1]\n", ndjson, "", 400, wire.CodeBadLine, "line 2"},
			{"not UTF-8 JSON", good + "\x00\x01\n", ndjson, "", 400, wire.CodeBadLine, "line 2"},
			{"no kind", good + `{"seq":2}` + "\n", ndjson, "", 400, wire.CodeBadLine, `"kind" is missing`},
			{"no seq", good + `{"kind":"episode","time":"2026-03-01T12:00:00Z","data":{}}`, ndjson, "", 400, wire.CodeBadLine, `"seq" is missing`},
			{"no time", good + `{"seq":2,"kind":"episode","data":{}}`, ndjson, "", 400, wire.CodeBadLine, `"time" is missing`},
			{"no data", good + `{"seq":2,"time":"2026-03-01T12:00:00Z","kind":"episode"}`, ndjson, "", 400, wire.CodeBadLine, `"data" is missing`},
			{"a time that is none", good + `{"seq":2,"time":"yesterday","kind":"episode","data":{}}`, ndjson, "", 400, wire.CodeBadLine, "line 2"},
			{"a negative seq", good + `{"seq":-2,"time":"2026-03-01T12:00:00Z","kind":"episode","data":{}}`, ndjson, "", 400, wire.CodeBadLine, "line 2"},
			{"cut off in a line", good + second[:40], ndjson, "", 400, wire.CodeBadLine, "line 2"},
			{"the wrong order", second + good, ndjson, "", 409, wire.CodeGap, "records 1 to 1 are missing"},
			{"the same twice", good + good, ndjson, "", 400, "bad_order", "record 1 comes after record 1"},
			{"a gap", good + strings.Replace(good, `"seq":1`, `"seq":4`, 1), ndjson, "", 409, wire.CodeGap, "records 2 to 3 are missing before record 4"},
			{"JSON", good, "application/json", "", 415, "not_ndjson", `"application/json"`},
			{"a form", good, "application/x-www-form-urlencoded", "", 415, "not_ndjson", ndjson},
			{"no type", good, "", "", 415, "not_ndjson", ndjson},
			{"an unknown encoding", good, ndjson, "br", 415, "unknown_encoding", "plain, gzip or zstd"},
			{"no gzip", good, ndjson, "gzip", 400, "not_gzip", "not gzip"},
			{"no zstd", good, ndjson, "zstd", 400, "body_cut_off", "nothing of it was stored"},
			{"gzip that stops half way", string(pack(t, "gzip", []byte(good+second))[:60]), ndjson, "gzip", 400, "body_cut_off", "nothing of it was stored"},
			{"zstd that stops half way", string(pack(t, "zstd", []byte(good+second))[:60]), ndjson, "zstd", 400, "body_cut_off", "nothing of it was stored"},
			{"a record that is too large", good + long, ndjson, "", 413, wire.CodeRecordTooLarge, "line 2"},
			{"a body that is too large", huge, ndjson, "", 413, wire.CodeBodyTooLarge, "send fewer records"},
			{"a small body that unpacks to a large one", string(pack(t, "zstd", []byte(huge))), ndjson, "zstd", 413, wire.CodeBodyTooLarge, "decompressed"},
			{"and with gzip", string(pack(t, "gzip", []byte(huge))), ndjson, "gzip", 413, wire.CodeBodyTooLarge, "decompressed"},
		} {
			t.Run(c.what, func(t *testing.T) {
				s := w.sender("bad")
				a := w.ask("POST", s.path(""), []byte(c.body), "Content-Type", c.kind, "Content-Encoding", c.encoding)
				if text := a.failure(t, c.status, c.code); !strings.Contains(text, c.says) {
					t.Errorf("the message is %q, want %q in it", text, c.says)
				}
				var states wire.States
				w.get("/api/v1/states?runs="+s.run, &states)
				if len(states.Items) > 0 && states.Items[0].Cursor > 0 {
					t.Errorf("something was stored: %+v", states.Items)
				}
			})
		}
		for what, path := range map[string]string{
			"no run": "/api/v1/records", "no experiment": "/api/v1/records?run=0198aaaa-0000-7000-8000-000000000001", "a run that is none": "/api/v1/records?run=7&experiment=x",
		} {
			if text := w.ask("POST", path, []byte(good), "Content-Type", ndjson).failure(t, 400, wire.CodeNoRun); !strings.Contains(text, "run_id and experiment") {
				t.Errorf("%s: %q", what, text)
			}
		}
		w.ask("POST", w.sender("bad").path(""), []byte(`{"kind":"header","data":[]}`), "Content-Type", ndjson).failure(t, 400, wire.CodeBadLine)
	})
}

// TestBodyStopsHalfWay: the connection ends in the middle of a body. What came is
// whole lines, and still nothing of it is stored.
func TestBodyStopsHalfWay(t *testing.T) {
	w := serve(t, newSQLite(t), server.Options{})
	for _, chunked := range []bool{false, true} {
		s := w.sender(fmt.Sprint("half ", chunked))
		body := s.log("episode", `{"episode_number":1,"total_reward":2}`).log("episode", `{"episode_number":2,"total_reward":2}`).take()
		conn, err := net.Dial("tcp", w.web.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		first := body[:bytes.IndexByte(body, '\n')+1]
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\n", s.path(""), ndjson)
		if chunked {
			fmt.Fprintf(conn, "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(first), first)
		} else {
			fmt.Fprintf(conn, "Content-Length: %d\r\n\r\n%s", len(body), first)
		}
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 4096)
		n, _ := conn.Read(answer)
		conn.Close()
		if !bytes.Contains(answer[:n], []byte("body_cut_off")) {
			t.Errorf("the answer is %s", answer[:n])
		}
		var states wire.States
		if w.get("/api/v1/states?runs="+s.run, &states); len(states.Items) != 0 {
			t.Errorf("the run is there: %+v", states)
		}
		if r := w.receipt(w.ask("POST", s.path(""), body, "Content-Type", ndjson)); r.Applied.Stored != 2 {
			t.Errorf("sent again: %+v", r)
		}
	}
}

// slow is a database that takes its time.
type slow struct {
	store.Store
	held    chan struct{}
	release chan struct{}
}

func (s *slow) Register(ctx context.Context, run store.Run, restore bool) (store.State, error) {
	s.held <- struct{}{}
	<-s.release
	return s.Store.Register(ctx, run, restore)
}

// TestBackPressure: too much at a time, or too fast, is answered with 429 and when to
// come back.
func TestBackPressure(t *testing.T) {
	db := &slow{Store: newSQLite(t), held: make(chan struct{}), release: make(chan struct{})}
	w := serve(t, db, server.Options{Ingests: 2})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			s := w.sender("slow").log("heartbeat", `{}`)
			if r := s.send(); r.Applied.Stored != 1 {
				t.Errorf("the receipt is %+v", r)
			}
		})
		<-db.held
	}
	s := w.sender("third").log("heartbeat", `{}`)
	a := w.ask("POST", s.path(""), s.take(), "Content-Type", ndjson)
	if a.failure(t, 429, "busy"); a.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
	}
	w.get("/api/v1/experiments", nil) // who reads is not held up
	close(db.release)
	wg.Wait()

	// Two a second, of which two seconds' worth are in hand.
	clock := noon
	w = serve(t, newSQLite(t), server.Options{Rate: 2, Now: func() time.Time { return clock }})
	s = w.sender("fast")
	refused := 0
	for range 10 {
		body := s.log("heartbeat", `{}`).take()
		for {
			a := w.ask("POST", s.path(""), body, "Content-Type", ndjson)
			if a.status == 200 {
				break
			}
			if a.failure(t, 429, "too_many_requests"); a.header.Get("Retry-After") != "1" || t.Failed() {
				t.Fatalf("Retry-After is %q", a.header.Get("Retry-After"))
			}
			refused++
			clock = clock.Add(time.Second)
		}
	}
	if refused != 3 { // 4 at once, then 2 a second for the other 6
		t.Errorf("%d bodies were refused", refused)
	}
	var states wire.States
	if w.get("/api/v1/states?runs="+s.run, &states); states.Items[0].Cursor != 10 {
		t.Errorf("the run is %+v", states)
	}
}
