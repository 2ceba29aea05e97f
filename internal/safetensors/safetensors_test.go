package safetensors

import (
	"bytes"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sample writes a file with a tensor of each type.
func sample(t testing.TB) (path string, tensors []Tensor) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "a.safetensors")
	big := make([]float32, 3*chunk+5)
	for i := range big {
		big[i] = float32(i) / 7
	}
	tensors = []Tensor{
		Float32("weights", []float32{1, -2, 0.5, float32(math.Inf(1)), math.SmallestNonzeroFloat32, 6}, 2, 3),
		Int64("counts", []int64{-1, math.MaxInt64}, 2),
		Bytes("mask", []byte{1, 0, 1}, 3),
		Float64("sum", []float64{math.Pi}),
		Float32("none", nil, 0, 4),
		Float32("big", big, len(big)),
	}
	info, err := Write(path, map[string]string{"format": "x/1", "config": `{"a":"ü<>"}`}, tensors)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || st.Size() != info.Size {
		t.Fatalf("size %d, told %d (%v)", st.Size(), info.Size, err)
	}
	return path, tensors
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	path, tensors := sample(t)
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Metadata()["config"] != `{"a":"ü<>"}` {
		t.Errorf("metadata %q", f.Metadata())
	}
	weights, counts, big := make([]float32, 6), make([]int64, 2), make([]float32, 3*chunk+5)
	for _, x := range []Tensor{Float32("weights", weights, 2, 3), Int64("counts", counts, 2), Float32("big", big, len(big))} {
		if err := f.Read(x); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(weights, tensors[0].data.([]float32)) || !slices.Equal(counts, tensors[1].data.([]int64)) || !slices.Equal(big, tensors[5].data.([]float32)) {
		t.Error("other numbers came back")
	}
	if err := f.Read(Float32("weights", weights, 3, 2)); err == nil || !strings.Contains(err.Error(), "[2 3]") {
		t.Errorf("another shape: %v", err)
	}
	if err := f.Read(Float32("nothing", nil, 0)); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("a missing tensor: %v", err)
	}
}

// A few lines of Python read the file by the format's rules.
func TestPythonReadsIt(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal("python3 is needed: apt-get install python3")
	}
	path, _ := sample(t)
	const script = `
import json, struct, sys
raw = open(sys.argv[1], "rb").read()
n, = struct.unpack("<Q", raw[:8])
head = json.loads(raw[8:8+n])
assert (8 + n) % 8 == 0 and head["__metadata__"]["format"] == "x/1"
a, b = head["weights"]["data_offsets"]
print(head["weights"]["dtype"], head["weights"]["shape"], struct.unpack("<6f", raw[8+n+a:8+n+b])[:3])
assert max(v["data_offsets"][1] for k, v in head.items() if k != "__metadata__") == len(raw) - 8 - n
`
	out, err := exec.Command(python, "-c", script, path).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "F32 [2, 3] (1.0, -2.0, 0.5)" {
		t.Fatalf("%v: %s", err, out)
	}
}

func TestDamageIsFound(t *testing.T) {
	path, _ := sample(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"empty":        nil,
		"short":        whole[:5],
		"cut":          whole[:len(whole)-1],
		"longer":       append(bytes.Clone(whole), 0),
		"huge header":  append([]byte{255, 255, 255, 255, 255, 255, 255, 127}, whole[8:]...),
		"shape":        bytes.Replace(whole, []byte(`"shape":[2,3]`), []byte(`"shape":[2,4]`), 1),
		"type":         bytes.Replace(whole, []byte(`"dtype":"I64"`), []byte(`"dtype":"X64"`), 1),
		"twice":        bytes.Replace(whole, []byte(`"none"`), []byte(`"mask"`), 1),
		"negative":     bytes.Replace(whole, []byte(`"shape":[0,4]`), []byte(`"shape":[0,-4]`), 1),
		"not a header": append(bytes.Clone(whole[:8]), bytes.Repeat([]byte("x"), len(whole)-8)...),
	} {
		if bytes.Equal(data, whole) {
			t.Errorf("%s: nothing was damaged", name)
		}
		p := filepath.Join(t.TempDir(), "damaged")
		if err := os.WriteFile(p, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if f, err := Open(p); err == nil {
			f.Close()
			t.Errorf("%s: nobody noticed", name)
		} else if !strings.Contains(err.Error(), p) {
			t.Errorf("%s: the error does not name the file: %v", name, err)
		}
	}
}

func TestAFailedWriteLeavesTheOldFile(t *testing.T) {
	path, _ := sample(t)
	before, _ := os.ReadFile(path)
	bad := []Tensor{Float32("a", []float32{1}, 2)}
	if _, err := Write(path, nil, bad); err == nil || !strings.Contains(err.Error(), "tensor a") {
		t.Fatalf("got %v", err)
	}
	if _, err := Write(path, nil, []Tensor{Bytes("a", nil, 0), Bytes("a", nil, 0)}); err == nil {
		t.Fatal("two tensors of one name")
	}
	after, _ := os.ReadFile(path)
	if !bytes.Equal(before, after) {
		t.Error("the old file changed")
	}
	if list, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(list) > 0 {
		t.Errorf("left behind: %v", list)
	}
}

func FuzzOpen(f *testing.F) {
	path, _ := sample(f)
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole[:700])
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x00\x00{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := parse(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		for name, e := range file.entries {
			n, _ := elements(e.Shape)
			if e.Type == F32 {
				if err := file.Read(Float32(name, make([]float32, n), e.Shape...)); err != nil {
					t.Fatalf("a checked tensor cannot be read: %v", err)
				}
			}
		}
	})
}
