// Package figure draws the figures of reports as SVG: learning curves with bands, paired
// differences, forest plots, distributions, queues over time and the phases of signals.
// Each figure stands alone in a file, prints in black and white, and carries where its
// numbers are from. Colours are those of Okabe and Ito, which colour-blind people can
// tell apart.
package figure
