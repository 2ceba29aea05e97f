package nn

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// Matrix is a dense row-major matrix: a row per sample, a column per feature.
type Matrix struct {
	Rows, Cols int
	Data       []float32 // Rows × Cols
}

// NewMatrix returns a matrix of zeros.
func NewMatrix(rows, cols int) Matrix {
	return Matrix{Rows: rows, Cols: cols, Data: make([]float32, rows*cols)}
}

// Row returns row i, sharing its data.
func (m Matrix) Row(i int) []float32 { return m.Data[i*m.Cols : (i+1)*m.Cols] }

// resize gives m the shape, keeping its memory where it is large enough. The
// contents are undefined afterwards.
func (m *Matrix) resize(rows, cols int) {
	if n := rows * cols; cap(m.Data) < n {
		m.Data = make([]float32, n)
	} else {
		m.Data = m.Data[:n]
	}
	m.Rows, m.Cols = rows, cols
}

func (m Matrix) general() blas32.General {
	return blas32.General{Rows: m.Rows, Cols: m.Cols, Stride: m.Cols, Data: m.Data}
}

// multiply computes c = beta·c + op(a)·op(b), where op transposes when its flag is
// set. beta is 0 or 1.
func multiply(transA, transB bool, a, b Matrix, beta float32, c Matrix) {
	if vectorised {
		multiplyAVX2(transA, transB, a, b, beta != 0, c)
		return
	}
	blas32.Gemm(transpose(transA), transpose(transB), 1, a.general(), b.general(), beta, c.general())
}

func transpose(t bool) blas.Transpose {
	if t {
		return blas.Trans
	}
	return blas.NoTrans
}

// addRow adds the vector v to every row of m.
func addRow(m Matrix, v []float32) {
	for i := range m.Rows {
		row := m.Row(i)
		for j, x := range v {
			row[j] += x
		}
	}
}

// sumRows adds the sum of m's rows to v.
func sumRows(m Matrix, v []float32) {
	for i := range m.Rows {
		for j, x := range m.Row(i) {
			v[j] += x
		}
	}
}
