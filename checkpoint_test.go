package greenwave

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/artifact"
)

func saved(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A model is copied beside the journal, under its hash: what the trainer does to its own
// file afterwards does not matter.
func TestCheckpointKeepsTheModel(t *testing.T) {
	run := begin(t, quiet(t))
	path := saved(t, "weights")
	for range 2 { // the second time it is there
		if _, err := run.LogCheckpoint(Checkpoint{CheckpointType: "regular", ModelPath: path}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, []byte("overwritten"), 0o600); err != nil {
		t.Fatal(err)
	}
	hash, _ := read(t, run.Dir())[0].fields["model_hash"].(string)
	folder, err := artifact.OpenFolder(filepath.Join(run.Dir(), artifact.FolderName))
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	var copied bytes.Buffer
	if _, err := artifact.Fetch(t.Context(), folder, hash, &copied); err != nil || copied.String() != "weights" {
		t.Errorf("the copy holds %q, %v", copied.String(), err)
	}
}

func TestCheckpointOfAnotherHash(t *testing.T) {
	run := begin(t, quiet(t))
	_, err := run.LogCheckpoint(Checkpoint{CheckpointType: "regular", ModelPath: saved(t, "weights"), ModelHash: strings.Repeat("0", 64)})
	if err == nil || !strings.Contains(err.Error(), "has the SHA-256 9a129038") {
		t.Errorf("a wrong hash: %v", err)
	}
	_, err = run.LogCheckpoint(Checkpoint{CheckpointType: "regular", ModelPath: filepath.Join(t.TempDir(), "nowhere")})
	if err == nil || !strings.Contains(err.Error(), "save the model before it is logged") {
		t.Errorf("no file: %v", err)
	}
	if lines := read(t, run.Dir()); len(lines) != 0 {
		t.Errorf("%d records of checkpoints that were refused", len(lines))
	}
}

// When the copy fails the checkpoint is recorded all the same, and says so.
func TestCheckpointWithoutCopy(t *testing.T) {
	run := begin(t, quiet(t))
	if err := os.WriteFile(filepath.Join(run.Dir(), artifact.FolderName), nil, 0o600); err != nil {
		t.Fatal(err) // a file where the folder should be
	}
	if _, err := run.LogCheckpoint(Checkpoint{CheckpointType: "regular", ModelPath: saved(t, "weights"), Extra: Extra{"note": "mine"}}); err != nil {
		t.Fatal(err)
	}
	fields := read(t, run.Dir())[0].fields
	if fields["model_copy_error"] == nil || fields["note"] != "mine" || !strings.HasPrefix(fields["model_hash"].(string), "9a129038") {
		t.Errorf("recorded: %v", fields)
	}
}
