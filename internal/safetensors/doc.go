// Package safetensors writes and reads named tensors in the safetensors format
// (https://github.com/huggingface/safetensors#format): eight bytes with the length of
// a JSON header, the header with type, shape and place of each tensor, and the data
// in little-endian order. Python reads such a file with numpy in a few lines or with
// the safetensors package.
//
// A file is written whole or not at all, and everything in a file that is read is
// checked before it is used: no tensor reaches beyond the data, overlaps another or
// has another size than its shape says.
package safetensors
