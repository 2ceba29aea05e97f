package nn

// Kernel names the implementation of the matrix products in use: "avx2" or "gonum".
// Numbers are equal bit for bit only between runs with the same one. The environment
// variable GREENWAVE_KERNEL=gonum asks for the portable one.
func Kernel() string {
	if vectorised {
		return "avx2"
	}
	return "gonum"
}
