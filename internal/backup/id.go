package backup

import (
	"crypto/rand"
	"strings"
	"time"
)

// idTime sorts as time does; two backups of one second are two.
const idTime = "20060102T150405.000Z"

// newID names a backup: the time, and letters that tell two of one moment apart.
func newID(at time.Time) string {
	return strings.ReplaceAll(at.UTC().Format(idTime), ".", "") + "-" + strings.ToLower(rand.Text()[:6])
}
