// Package report turns comparisons and experiments into documents that people hand in:
// one description of the document, written as terminal text, Markdown, LaTeX or one HTML
// file. It computes nothing; the packages comparison and analysis do.
package report
