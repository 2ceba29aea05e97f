package postgres_test

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
)

// advice is what Supabase's advisors find wrong with a database: level and name of the
// rule, and what it is about.
func advice(t *testing.T, url, level string) []string {
	t.Helper()
	const program = "../../../build/supabase/supabase"
	cmd := exec.CommandContext(t.Context(), program, "db", "advisors", "--remote="+url, "--level", level, "--output-format", "json")
	cmd.Env = []string{"HOME=" + t.TempDir(), "DO_NOT_TRACK=1", "SUPABASE_TELEMETRY_DISABLED=1"}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: run scripts/need test", program, err)
	}
	var answer struct {
		Results []struct{ Level, Name, Detail string }
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var found []string
	for _, r := range answer.Results {
		found = append(found, r.Level+" "+r.Name+" "+r.Detail)
	}
	return found
}

// TestAdvisors: Supabase's advisors warn of nothing. What they merely remark on is known:
// archive tables have no key by intent, an index that a new database has not used yet,
// and a key whose first column is indexed with others behind it.
func TestAdvisors(t *testing.T) {
	url := pgtest.Database(t)
	migrated(t, url)
	for _, a := range advice(t, url, "warn") {
		t.Error(a)
	}
	for _, a := range advice(t, url, "info") {
		rule := strings.Fields(a)[1]
		if !slices.Contains([]string{"unused_index", "unindexed_foreign_keys", "no_primary_key"}, rule) || rule == "no_primary_key" && !strings.Contains(a, "_archive") {
			t.Error(a)
		}
	}
	// They do see what is wrong.
	conn := connect(t, url)
	execute(t, conn, `ALTER TABLE training_steps DISABLE ROW LEVEL SECURITY`)
	execute(t, conn, `CREATE POLICY slow ON experiments USING (created_by = auth.uid())`)
	found := strings.Join(advice(t, url, "warn"), "\n")
	for _, rule := range []string{"training_steps", "auth_rls_initplan"} {
		if !strings.Contains(found, rule) {
			t.Errorf("the advisors do not find %s:\n%s", rule, found)
		}
	}
}
