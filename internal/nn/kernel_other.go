//go:build !amd64 || purego

package nn

var vectorised = false

func multiplyAVX2(_, _ bool, _, _ Matrix, _ bool, _ Matrix) { panic("nn: no AVX2 here") }

func adam8(_, _, _, _ *float32, _ int, _ *[6]float32) { panic("nn: no AVX2 here") }
