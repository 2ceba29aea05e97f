package record

import "time"

// Resource is what the trainer's process and its host use at one moment. A nil
// pointer is "not measured".
type Resource struct {
	ProcessCPUPercent *float64  // of one core, since the sample before: 250 is two cores and a half
	ProcessMemoryMB   *float64  // resident memory, megabytes (10^6 bytes)
	HostCPUPercent    *float64  // of all cores together, since the sample before
	HostMemoryUsedMB  *float64  // megabytes (10^6 bytes)
	HostMemoryTotalMB *float64  // megabytes (10^6 bytes)
	DiskFreeMB        *float64  // megabytes (10^6 bytes) of the disk that holds the journal
	DiskTotalMB       *float64  // megabytes (10^6 bytes)
	GPUs              any       // a list of objects: index, name, utilization_percent, memory_used_mb, memory_total_mb
	SampledAt         time.Time // zero: the time of logging
	Extra             Extra
}

func (r *Resource) fields(c *codec) {
	c.float(&r.ProcessCPUPercent)
	c.float(&r.ProcessMemoryMB)
	c.float(&r.HostCPUPercent)
	c.float(&r.HostMemoryUsedMB)
	c.float(&r.HostMemoryTotalMB)
	c.float(&r.DiskFreeMB)
	c.float(&r.DiskTotalMB)
	c.any(&r.GPUs)
	c.time(&r.SampledAt)
	c.extra(&r.Extra)
}

// Kind returns KindResource.
func (r *Resource) Kind() Kind { return KindResource }

// Check returns a *FieldError for the first field that breaks its rule.
func (r *Resource) Check() error { return check(r) }

// AppendJSON appends the record as one JSON object; see [Record].
func (r *Resource) AppendJSON(dst []byte) ([]byte, error) { return encode(dst, r) }

// MarshalJSON is AppendJSON for encoding/json.
func (r *Resource) MarshalJSON() ([]byte, error) { return encode(nil, r) }

// UnmarshalJSON reads and checks a record; see [Record].
func (r *Resource) UnmarshalJSON(data []byte) error { return unmarshal(data, r) }
