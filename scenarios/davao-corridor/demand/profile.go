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
	{0, 38, 8, 10, 12, 16, 16},
	{38, 0, 11, 13, 10, 12, 16},
	{22, 28, 0, 34, 6, 6, 4},
	{20, 36, 28, 0, 6, 5, 5},
	{24, 26, 4, 4, 0, 36, 6},
	{24, 30, 4, 4, 34, 0, 4},
	{32, 42, 7, 7, 6, 6, 0},
}

// The mixture of the vehicles, as shares of all.
const (
	carShare     = 0.533
	motorShare   = 0.315
	truckShare   = 0.020
	jeepneyShare = 0.117
	busShare     = 0.016
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
	{"morning", 0x6d6f72, [7]float64{2000, 1350, 750, 900, 750, 850, 900}, 0.30, 900, -1, 300, 3000},
	{"midday", 0x6d6964, [7]float64{1400, 1400, 620, 720, 620, 680, 760}, 0.10, 600, -1, 0, 3600},
	{"evening", 0x657665, [7]float64{1400, 2050, 800, 800, 850, 800, 1000}, 0.30, 900, -1, 300, 3000},
	{"event", 0x657674, [7]float64{1350, 1450, 620, 700, 650, 700, 760}, 1.20, 800, 5, 0, 1200},
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
