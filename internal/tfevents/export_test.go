package tfevents

// Parse reads the data of one frame.
var Parse = parse
