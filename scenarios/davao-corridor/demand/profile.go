package main

import (
	"math"
	"math/rand/v2"
)

// places are where vehicles enter and leave, in the order of all tables below.
var places = []string{"west", "east", "eco_n", "eco_s", "jp_n", "jp_s", "san_s"}

// shares says of the vehicles that enter at a place (row) which part leaves at each
// place (column), in percent.
var shares = [7][7]float64{
	{0, 34, 6, 18, 7, 17, 18},
	{39, 0, 16, 5, 18, 8, 14},
	{26, 22, 0, 38, 4, 6, 4},
	{20, 36, 32, 0, 5, 3, 4},
	{28, 20, 3, 3, 0, 42, 4},
	{20, 34, 3, 2, 38, 0, 3},
	{35, 44, 7, 3, 8, 3, 0},
}

// The mixture of the vehicles, as shares of all.
const (
	carShare     = 0.533
	motorShare   = 0.315
	truckShare   = 0.020
	jeepneyShare = 0.117
	busShare     = 0.016
	privateShare = carShare + motorShare + truckShare
)

// A demand lasts an hour and a bit, in pieces of five minutes.
const (
	piece  = 300
	pieces = 13
)

// profile is a kind of hour.
type profile struct {
	name string
	seed uint64
	// vehicles that enter at each place, per hour, in the mean of the hour
	volumes [7]float64
	// peak is how much more than the rest of the hour its peak has, and width how
	// long it is on either side, in s. When it comes is drawn.
	peak, width float64
	// at which place the peak is; -1: everywhere
	at int
	// earliest and latest time of the peak, in s
	from, to float64
}

var profiles = []profile{
	{"morning", 0x6d6f72, [7]float64{1650, 1250, 720, 820, 720, 780, 830}, 0.25, 900, -1, 300, 3000},
	{"midday", 0x6d6964, [7]float64{1350, 1350, 580, 680, 580, 640, 720}, 0.10, 600, -1, 0, 3600},
	{"evening", 0x657665, [7]float64{1300, 1650, 700, 700, 720, 720, 860}, 0.25, 900, -1, 300, 3000},
	{"event", 0x657674, [7]float64{1250, 1300, 560, 640, 580, 640, 680}, 1.00, 600, 5, 0, 1200},
}

// demand is one drawn file.
type demand struct {
	profile *profile
	number  int
	share   [7][7]float64      // of a place's vehicles, by where they leave
	volume  [pieces][7]float64 // vehicles per hour that enter at a place, of all kinds
}

// draw draws the demand of a file: how much there is, where it goes and when the
// peak comes.
func (p *profile) draw(number int) demand {
	rng := rand.New(rand.NewPCG(p.seed, uint64(number)))
	between := func(low, high float64) float64 { return low + (high-low)*rng.Float64() }

	d := demand{profile: p, number: number}
	level, peak := between(0.96, 1.04), between(p.from, p.to)
	var volumes [7]float64
	for i, v := range p.volumes {
		volumes[i] = v * level * between(0.92, 1.08)
	}
	for i, row := range shares {
		sum := 0.0
		for j, s := range row {
			d.share[i][j] = s * between(0.8, 1.2)
			sum += d.share[i][j]
		}
		for j := range row {
			d.share[i][j] /= sum
		}
	}
	for k := range d.volume {
		t := (float64(k)+0.5)*piece - peak
		bump := p.peak * math.Exp(-t*t/(2*p.width*p.width))
		for i, v := range volumes {
			d.volume[k][i] = v
			if p.at < 0 {
				d.volume[k][i] *= 1 - p.peak/2 + bump
			} else if p.at == i {
				d.volume[k][i] *= 1 + bump
			}
		}
	}
	return d
}

// total is the vehicles per hour that want to enter in a piece.
func (d *demand) total(k int) float64 {
	sum := 0.0
	for _, v := range d.volume[k] {
		sum += v
	}
	return sum
}
