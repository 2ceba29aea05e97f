// Package record is the vocabulary of Greenwave: what a training run logs, with
// the names, units and rules that the journal, the databases, the exports and the
// documentation share.
//
// Each kind of record exists in two forms. The typed form ([Episode], [Step], …)
// is what a program fills in and logs. The generic form ([Row]) is what the rest
// of the system moves: one [Value] per column in the order of the kind's [Schema].
// The schema is the single statement of names, types, units and rules; both forms
// are checked against it. A record that breaks a rule is refused with a
// [FieldError] that names the field, the value and the rule.
//
// Numbers that were not measured are left out (a nil pointer), never written as 0.
// Fields that have no column are kept as they were written: see [Extra].
//
// # NaN and infinity
//
// They are kept, because a run that diverges is when a record is needed most. JSON
// has no way to write them, so [Record].AppendJSON writes the texts "NaN",
// "Infinity" and "-Infinity" and lists the paths of these numbers in the field
// non_finite; [Parse] makes them null and keeps the list in the row's Extra.
package record
