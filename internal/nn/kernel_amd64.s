//go:build !purego

#include "textflag.h"

// func product4(a *float32, rowStride, colStride int, b *float32, c *float32, cStride int, depth int, add bool)
// Y0 to Y7 are the tile: two registers a row.
TEXT ·product4(SB), NOSPLIT, $0-57
	MOVQ a+0(FP), SI
	MOVQ rowStride+8(FP), R8
	MOVQ colStride+16(FP), R9
	MOVQ b+24(FP), DI
	MOVQ c+32(FP), DX
	MOVQ cStride+40(FP), R11
	MOVQ depth+48(FP), CX
	LEAQ (R8)(R8*2), R12
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
	VXORPS Y6, Y6, Y6
	VXORPS Y7, Y7, Y7

step4:
	VMOVUPS      (DI), Y8
	VMOVUPS      32(DI), Y9
	VBROADCASTSS (SI), Y10
	VBROADCASTSS (SI)(R8*1), Y11
	VBROADCASTSS (SI)(R8*2), Y12
	VBROADCASTSS (SI)(R12*1), Y13
	VFMADD231PS  Y8, Y10, Y0
	VFMADD231PS  Y9, Y10, Y1
	VFMADD231PS  Y8, Y11, Y2
	VFMADD231PS  Y9, Y11, Y3
	VFMADD231PS  Y8, Y12, Y4
	VFMADD231PS  Y9, Y12, Y5
	VFMADD231PS  Y8, Y13, Y6
	VFMADD231PS  Y9, Y13, Y7
	ADDQ         R9, SI
	ADDQ         $64, DI
	DECQ         CX
	JNZ          step4

	LEAQ    (DX)(R11*1), R8
	LEAQ    (DX)(R11*2), R9
	LEAQ    (R8)(R11*2), R10
	MOVBLZX add+56(FP), AX
	TESTL   AX, AX
	JZ      store4
	VADDPS  (DX), Y0, Y0
	VADDPS  32(DX), Y1, Y1
	VADDPS  (R8), Y2, Y2
	VADDPS  32(R8), Y3, Y3
	VADDPS  (R9), Y4, Y4
	VADDPS  32(R9), Y5, Y5
	VADDPS  (R10), Y6, Y6
	VADDPS  32(R10), Y7, Y7

store4:
	VMOVUPS Y0, (DX)
	VMOVUPS Y1, 32(DX)
	VMOVUPS Y2, (R8)
	VMOVUPS Y3, 32(R8)
	VMOVUPS Y4, (R9)
	VMOVUPS Y5, 32(R9)
	VMOVUPS Y6, (R10)
	VMOVUPS Y7, 32(R10)
	VZEROUPPER
	RET

// func product1(a *float32, colStride int, b *float32, c *float32, depth int, add bool)
TEXT ·product1(SB), NOSPLIT, $0-41
	MOVQ a+0(FP), SI
	MOVQ colStride+8(FP), R9
	MOVQ b+16(FP), DI
	MOVQ c+24(FP), DX
	MOVQ depth+32(FP), CX
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1

step1:
	VBROADCASTSS (SI), Y10
	VFMADD231PS  (DI), Y10, Y0
	VFMADD231PS  32(DI), Y10, Y1
	ADDQ         R9, SI
	ADDQ         $64, DI
	DECQ         CX
	JNZ          step1

	MOVBLZX add+40(FP), AX
	TESTL   AX, AX
	JZ      store1
	VADDPS  (DX), Y0, Y0
	VADDPS  32(DX), Y1, Y1

store1:
	VMOVUPS Y0, (DX)
	VMOVUPS Y1, 32(DX)
	VZEROUPPER
	RET

// func adam8(params, grads, first, second *float32, n int, k *[6]float32)
// Products and sums are rounded one by one, as Go's own arithmetic does.
TEXT ·adam8(SB), NOSPLIT, $0-48
	MOVQ params+0(FP), DI
	MOVQ grads+8(FP), SI
	MOVQ first+16(FP), R8
	MOVQ second+24(FP), R9
	MOVQ n+32(FP), CX
	MOVQ k+40(FP), AX
	VBROADCASTSS (AX), Y10   // 1 − β₁
	VBROADCASTSS 4(AX), Y11  // β₁
	VBROADCASTSS 8(AX), Y12  // 1 − β₂
	VBROADCASTSS 12(AX), Y13 // β₂
	VBROADCASTSS 16(AX), Y14 // step
	VBROADCASTSS 20(AX), Y15 // ε

step8:
	VMOVUPS (SI), Y0         // g
	VMULPS  (R8), Y11, Y1
	VMULPS  Y0, Y10, Y2
	VADDPS  Y2, Y1, Y1       // m
	VMULPS  (R9), Y13, Y3
	VMULPS  Y0, Y12, Y4
	VMULPS  Y0, Y4, Y4
	VADDPS  Y4, Y3, Y3       // v
	VMOVUPS Y1, (R8)
	VMOVUPS Y3, (R9)
	VSQRTPS Y3, Y3
	VADDPS  Y15, Y3, Y3
	VMULPS  Y14, Y1, Y1
	VDIVPS  Y3, Y1, Y1       // step·m / (√v + ε)
	VMOVUPS (DI), Y5
	VSUBPS  Y1, Y5, Y5
	VMOVUPS Y5, (DI)
	ADDQ    $32, SI
	ADDQ    $32, R8
	ADDQ    $32, R9
	ADDQ    $32, DI
	SUBQ    $8, CX
	JNZ     step8
	VZEROUPPER
	RET
