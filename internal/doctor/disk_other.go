//go:build !unix

package doctor

// sameDisk is not known here.
func sameDisk(string, string) bool { return false }
