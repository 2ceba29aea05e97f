// Package pythontest runs what the Python client in clients/python is held to: its own
// tests, the journal's vectors, SIGKILL, the sync of its journals by the real program,
// and the same rows as the Go client writes. Its tests are the only thing in it.
package pythontest
