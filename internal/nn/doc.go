// Package nn has the small float32 networks that value actions: dense layers with
// rectifiers, an optional LSTM over stacked frames, a plain or dueling head, the
// Huber loss and Adam with gradient clipping.
//
// A [Net] holds parameters and gradients in one flat slice each, so that copying,
// Polyak averaging, clipping and Adam are single loops. Activations live in a
// [Workspace]; a net that nobody trains may be used by several goroutines, each
// with its own workspace. All sums run in a fixed order: the same seed, the same
// inputs and the same [Kernel] give the same bits.
//
// Sources: dueling heads, Wang et al. 2016 (arXiv:1511.06581); Adam, Kingma and Ba
// 2015 (arXiv:1412.6980); LSTM, Hochreiter and Schmidhuber 1997 in the form of Gers
// et al. 2000; initialisation, He et al. 2015 (arXiv:1502.01852) before rectifiers and
// Glorot and Bengio 2010 elsewhere.
package nn
