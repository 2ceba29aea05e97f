package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
	"github.com/greenwave-traffic/greenwave/internal/words"
)

// data compares every record with its row, as greenwave verify does. A server, which
// must stay quick, only counts.
func data(ctx context.Context, s *Subject) Finding {
	db, no := s.reader(ctx)
	if no != nil {
		return *no
	}
	if s.OnServer {
		return s.counted(ctx, db)
	}
	if s.Dir == "" || !fileExists(s.Dir) {
		return notChecked("no folder of runs", "without the journals there is nothing to compare the database with", "give their folder with --dir DIR, on the machine that has it")
	}
	looked := "every record in " + s.Dir + ", and its row in " + s.Database.Name
	sources, faults := s.Sources(s.Dir)
	defer func() {
		for _, src := range sources {
			_ = src.Close() // they were only read
		}
	}()
	var sum syncer.VerifyReport
	var details []string
	compared, wrong := 0, 0
	for _, src := range sources {
		if s.Experiment != "" && src.Run().Experiment != s.Experiment {
			continue
		}
		r, err := syncer.Verify(ctx, src, db, syncer.VerifyConfig{})
		if err != nil {
			faults = append(faults, fmt.Errorf("%s/%s: %w", words.Visible(src.Run().Experiment), words.Short(src.Run().ID), err))
			continue
		}
		compared++
		if !r.Verified() {
			wrong++
			line := words.Visible(r.Experiment) + "/" + words.Short(r.RunID) + ": " + r.String()
			if len(r.Faults) > 0 {
				line += "; the first: " + r.Faults[0].String()
			}
			details = append(details, line)
		}
		sum.Add(r)
	}
	for _, err := range faults {
		details = append(details, oneLine(err.Error()))
	}
	found := words.Of(compared, "run") + ", " + sum.String()
	switch {
	case wrong > 0:
		mend := "greenwave sync " + s.Dir + " sends what is missing; what differs was changed in the database, and greenwave verify shows it"
		return failed(looked, found, mend, details...)
	case len(faults) > 0:
		return failed(looked, words.Of(len(faults), "run")+" could not be compared; "+found, "greenwave verify "+s.Dir+" says more", details...)
	case compared == 0:
		return notChecked(looked, "there is no run in it", "give the folder of the runs with --dir DIR")
	case sum.Dead > 0:
		return warning(looked, found, "greenwave deadletter list "+s.Dir+" gives the reasons", details...)
	}
	return ok(looked, found, details...)
}

// counted says what the database knows without reading it all.
func (s *Subject) counted(ctx context.Context, db store.Reader) Finding {
	looked := "cursors and dead letters of the runs in " + s.Database.Name
	var runs, settled, dead float64
	err := rows(ctx, db, "SELECT count(*), coalesce(sum(cursor), 0), coalesce(sum(dead), 0) FROM training_runs", func(row []any) {
		runs, _ = number(row[0])
		settled, _ = number(row[1])
		dead, _ = number(row[2])
	})
	if err != nil {
		return notChecked(looked, oneLine(err.Error()), "")
	}
	found := fmt.Sprintf("%s with %s settled, %s of them dead letters", words.Of(int64(runs), "run"), words.Of(int64(settled), "record"), words.Count(int64(dead)))
	const mend = "greenwave verify DIR, on the machine that has the journals, compares every record with its row"
	if dead > 0 {
		return warning(looked, found, "greenwave deadletter list DIR gives the reasons; "+mend)
	}
	return notChecked(looked, found+"; whether the rows are as they were logged is not known to a server without the journals", mend)
}

// performance looks whether what was recorded amounts to a result.
func performance(ctx context.Context, s *Subject) Finding {
	db, no := s.reader(ctx)
	if no != nil {
		return *no
	}
	looked := "episodes, validations, baselines and the view performance_analytics in " + s.Database.Name
	of := ""
	if s.Experiment != "" {
		looked += ", of " + s.Experiment
		of = " WHERE e.experiment_name = '" + strings.ReplaceAll(s.Experiment, "'", "''") + "'"
	}
	var differ, gaps, bare []string
	experiments, episodes := 0, 0.0
	err := rows(ctx, db, `SELECT e.experiment_name, e.status, e.total_episodes, e.best_reward, t.n, t.best, t.lowest, t.highest,
		(SELECT count(*) FROM validation_results v WHERE v.experiment_id = e.id), (SELECT count(*) FROM baseline_comparisons b WHERE b.experiment_id = e.id),
		(SELECT count(*) FROM performance_analytics p WHERE p.experiment_name = e.experiment_name)
		FROM experiments e LEFT JOIN (SELECT experiment_id, count(*) AS n, max(total_reward) AS best, min(episode_number) AS lowest, max(episode_number) AS highest
			FROM training_episodes GROUP BY experiment_id) t ON t.experiment_id = e.id`+of+` ORDER BY e.experiment_name`, func(row []any) {
		name := words.Visible(text(row[0]))
		v := make([]float64, len(row))
		for i := range row {
			v[i], _ = number(row[i])
		}
		experiments++
		episodes += v[4]
		_, best := number(row[3])
		_, held := number(row[5])
		if v[2] != v[4] || v[3] != v[5] || best != held {
			differ = append(differ, fmt.Sprintf("%s: the statistics say %s, best %s; there are %s, best %s", name, words.Of(int64(v[2]), "episode"), shown(row[3]), words.Count(int64(v[4])), shown(row[5])))
		}
		if v[4] > 0 && v[7]-v[6]+1 != v[4] {
			gaps = append(gaps, fmt.Sprintf("%s: %s of %d to %d", name, words.Of(int64(v[4]), "episode"), int64(v[6]), int64(v[7])))
		}
		if text(row[1]) != "completed" {
			return
		}
		var lacks []string
		for i, what := range []string{"validation", "baseline", "row in performance_analytics"} {
			if v[8+i] == 0 {
				lacks = append(lacks, "no "+what)
			}
		}
		if len(lacks) > 0 {
			bare = append(bare, name+": completed, with "+strings.Join(lacks, ", "))
		}
	})
	if err != nil {
		return notChecked(looked, oneLine(err.Error()), "mend what the check schema says")
	}
	details := append(append(append([]string{}, differ...), gaps...), bare...)
	found := fmt.Sprintf("%s, %s", words.Of(experiments, "experiment"), words.Of(int64(episodes), "episode"))
	switch {
	case experiments == 0 && s.Experiment != "":
		return failed(looked, "there is no experiment "+s.Experiment, "greenwave experiments lists what is there")
	case experiments == 0:
		return notChecked(looked, "there is no experiment yet", "greenwave train or greenwave demo makes one")
	case len(differ) > 0:
		return failed(looked, fmt.Sprintf("the statistics of %s are not those of its episodes", words.Of(len(differ), "experiment")),
			"greenwave doctor --only performance --fix counts them again; triggers keep them right, so somebody has changed them or switched the triggers off", details...).fixable()
	case len(gaps) > 0:
		return warning(looked, found+"; numbers of episodes are missing in "+words.Of(len(gaps), "experiment"), "greenwave status DIR says whether they wait in a journal; a trainer that crashed may never have logged them", details...)
	case len(bare) > 0:
		return warning(looked, found+"; "+words.Of(len(bare), "experiment")+" completed without what makes it a result", "measure the policy on held-out demand and beside a baseline: greenwave evaluate, docs/compare.md", details...)
	}
	return ok(looked, found+", numbered without a gap, with statistics that are those of the rows; what is completed has validations and baselines", details...)
}

func shown(v any) string {
	n, is := number(v)
	if !is {
		return "none"
	}
	return words.Number(n)
}

func recount(ctx context.Context, s *Subject) (string, error) {
	e, is := s.examiner()
	if !is {
		return "", fmt.Errorf("%s cannot be mended", s.Database.Name)
	}
	n, err := e.Recount(ctx)
	return "the episodes of " + words.Of(n, "experiment") + " were counted again", err
}
