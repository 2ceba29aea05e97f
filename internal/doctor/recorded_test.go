package doctor_test

import (
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/doctor"
)

func TestData(t *testing.T) {
	onBoth(t, func(p *patient) {
		p.is(p.check("data"), doctor.NotChecked, "no run")
		p.run("a", 5, true)
		p.is(p.check("data"), doctor.Failed, "not synced yet", "greenwave sync")
		p.sync()
		p.is(p.check("data"), doctor.OK, "verified: 6 records")
		p.do(`UPDATE training_episodes SET total_reward = 99 WHERE episode_number = 3`)
		p.is(p.check("data"), doctor.Failed, "1 different in the database", "total_reward is 99")
		p.do(`UPDATE training_episodes SET total_reward = -3.5 WHERE episode_number = 3`)
		p.is(p.check("data"), doctor.OK)
		p.do(`DELETE FROM training_episodes WHERE episode_number = 4`)
		p.is(p.check("data"), doctor.Failed, "1 missing from the database")
		p.Experiment = "b"
		p.is(p.check("data"), doctor.NotChecked, "no run")
		p.Dir = "/nowhere"
		p.is(p.check("data"), doctor.NotChecked, "--dir")
	})
}

func TestDataWithDeadLetters(t *testing.T) {
	p := onSQLite(t)
	w := p.run("a", 1, false)
	p.log(w, "episode", `{"episode_number":-1}`)
	p.log(w, "end", `{"status":"completed"}`)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	p.sync()
	p.is(p.check("data"), doctor.Warning, "1 among the dead letters", "greenwave deadletter")
}

// A server without the journals says what it knows, and no more.
func TestDataOnAServer(t *testing.T) {
	p := onSQLite(t)
	p.OnServer = true
	p.run("a", 2, true)
	p.sync()
	p.is(p.check("data"), doctor.NotChecked, "3 records settled", "greenwave verify")
}

func TestPerformance(t *testing.T) {
	onBoth(t, func(p *patient) {
		p.is(p.check("performance"), doctor.NotChecked, "no experiment yet")
		p.run("a", 5, false)
		p.sync()
		p.is(p.check("performance"), doctor.OK, "1 experiment, 5 episodes")
		p.do(`UPDATE experiments SET total_episodes = 7, best_reward = 1000`)
		p.mends("performance", doctor.Failed, "the statistics say 7 episodes, best 1000.0; there are 5, best -1.50")
		p.do(`UPDATE experiments SET status = 'completed'`)
		p.is(p.check("performance"), doctor.Warning, "a: completed, with no validation, no baseline")
		p.do(`DELETE FROM training_episodes WHERE episode_number = 3`)
		p.is(p.check("performance"), doctor.Warning, "a: 4 episodes of 1 to 5")
		p.Experiment = "it's not there"
		p.is(p.check("performance"), doctor.Failed, "there is no experiment it's not there")
	})
}
