//go:build !purego

package nn

import (
	"os"
	"sync"

	"golang.org/x/sys/cpu"
)

// vectorised says whether the products are computed with AVX2. A test may change it.
var vectorised = cpu.X86.HasAVX2 && cpu.X86.HasFMA && os.Getenv("GREENWAVE_KERNEL") != "gonum"

const (
	tileRows = 4
	tileCols = 16
)

// product4 computes a tile of four rows and 16 columns of a·b over depth steps. a's
// element (i, k) is rowStride·i + colStride·k bytes from a; b is packed, 16 floats a
// step; c's rows are cStride bytes apart. With add the tile is added to c.
//
//go:noescape
func product4(a *float32, rowStride, colStride int, b *float32, c *float32, cStride int, depth int, add bool)

// product1 is product4 for one row.
//
//go:noescape
func product1(a *float32, colStride int, b *float32, c *float32, depth int, add bool)

// adam8 does Adam's step for n parameters, a multiple of eight. k is 1−β₁, β₁, 1−β₂,
// β₂, the step and ε.
//
//go:noescape
func adam8(params, grads, first, second *float32, n int, k *[6]float32)

// panels are the buffers for packed columns.
var panels = sync.Pool{New: func() any { return new([]float32) }}

// multiplyAVX2 computes c = c·[add] + op(a)·op(b), panel by panel of 16 columns.
func multiplyAVX2(transA, transB bool, a, b Matrix, add bool, c Matrix) {
	depth, rowStride, colStride := a.Cols, a.Cols*4, 4
	if transA {
		depth, rowStride, colStride = a.Rows, 4, a.Cols*4
	}
	buf := panels.Get().(*[]float32)
	if cap(*buf) < depth*tileCols {
		*buf = make([]float32, depth*tileCols)
	}
	panel := (*buf)[:depth*tileCols]
	var tile [tileRows * tileCols]float32
	at := func(i int) *float32 { return &a.Data[i*rowStride/4] }
	for j := 0; j < c.Cols; j += tileCols {
		width := min(tileCols, c.Cols-j)
		pack(panel, transB, b, j, width, depth)
		i := 0
		if width == tileCols {
			for ; i+tileRows <= c.Rows; i += tileRows {
				product4(at(i), rowStride, colStride, &panel[0], &c.Data[i*c.Cols+j], c.Cols*4, depth, add)
			}
			for ; i < c.Rows; i++ {
				product1(at(i), colStride, &panel[0], &c.Data[i*c.Cols+j], depth, add)
			}
			continue
		}
		for i < c.Rows {
			rows := 1
			if i+tileRows <= c.Rows {
				rows = tileRows
				product4(at(i), rowStride, colStride, &panel[0], &tile[0], tileCols*4, depth, false)
			} else {
				product1(at(i), colStride, &panel[0], &tile[0], depth, false)
			}
			for r := range rows {
				row := c.Data[(i+r)*c.Cols+j : (i+r)*c.Cols+j+width]
				if add {
					for k := range row {
						row[k] += tile[r*tileCols+k]
					}
				} else {
					copy(row, tile[r*tileCols:])
				}
			}
			i += rows
		}
	}
	panels.Put(buf)
}

// pack copies columns j to j+width of op(b) to a panel, padded with zeros.
func pack(panel []float32, trans bool, b Matrix, j, width, depth int) {
	if width < tileCols {
		clear(panel)
	}
	if !trans {
		for k := range depth {
			copy(panel[k*tileCols:], b.Data[k*b.Cols+j:k*b.Cols+j+width])
		}
		return
	}
	for w := range width {
		column := b.Data[(j+w)*b.Cols : (j+w)*b.Cols+depth]
		for k, v := range column {
			panel[k*tileCols+w] = v
		}
	}
}
