// Package record is the vocabulary of Greenwave: what a training run logs, with
// the names, units and rules that the journal, the databases, the exports and the
// documentation share.
//
// Each kind of record exists in two forms. The typed form ([Episode], [Step], …)
// is what a program fills in and logs. The generic form ([Row]) is what the rest
// of the system moves: one [Value] per column in the order of the kind's [Schema].
// The schema is the single statement of names, types, units and rules; both forms
// are checked against it.
//
// Numbers that were not measured are left out (a nil pointer), never written as 0.
// NaN and infinity are kept: see [Row.Extra].
package record
