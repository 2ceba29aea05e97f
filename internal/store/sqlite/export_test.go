package sqlite

// AppendVector and ParseVector are for the tests of the stored form.
var (
	AppendVector = appendVector
	ParseVector  = parseVector
)
