package nn

// Kernel names the implementation of the matrix products in use. Numbers are equal
// bit for bit only between runs with the same one.
func Kernel() string { return "gonum" }
