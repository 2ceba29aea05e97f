package backup

import (
	"crypto/rand"
	"strings"
	"time"
)

const idTime = "20060102T150405Z"

// newID names a backup: the time, and letters that tell two of one second apart.
func newID(at time.Time) string {
	return at.UTC().Format(idTime) + "-" + strings.ToLower(rand.Text()[:6])
}
