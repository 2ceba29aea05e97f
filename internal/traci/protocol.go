package traci

// Domain is a kind of object.
type Domain byte

// Domains, by the low nibble that their commands share.
const (
	TrafficLight Domain = 0x2
	Lane         Domain = 0x3
	Vehicle      Domain = 0x4
	VehicleType  Domain = 0x5
	Junction     Domain = 0x9
	Edge         Domain = 0xa
	Simulation   Domain = 0xb
)

// String returns the domain's name in SUMO's documentation.
func (d Domain) String() string {
	switch d {
	case TrafficLight:
		return "traffic light"
	case Lane:
		return "lane"
	case Vehicle:
		return "vehicle"
	case VehicleType:
		return "vehicle type"
	case Junction:
		return "junction"
	case Edge:
		return "edge"
	case Simulation:
		return "simulation"
	}
	return "domain"
}

// Commands. Those of a domain are the base plus the domain.
const (
	cmdVersion   = 0x00
	cmdLoad      = 0x01
	cmdStep      = 0x02
	cmdSetOrder  = 0x03
	cmdClose     = 0x7f
	cmdGet       = 0xa0
	cmdSet       = 0xc0
	cmdSubscribe = 0xd0
	cmdContext   = 0x80
	answerOffset = 0x10 // an answer's command is its question's plus this
)

// Variables. The comment gives the domain and the type of the value.
const (
	IDList  = 0x00 // any: strings
	IDCount = 0x01 // any: integer

	LaneVehicles  = 0x10 // lane, edge: vehicles in the last step, integer
	LaneMeanSpeed = 0x11 // lane, edge: m/s, double
	LaneIDs       = 0x12 // lane, edge: vehicles in the last step, strings
	LaneOccupancy = 0x13 // lane, edge: share of the length, double
	LaneHalting   = 0x14 // lane, edge: vehicles below 0.1 m/s, integer
	LaneWaiting   = 0x7a // lane, edge: sum of the waiting times in s, double

	SignalState   = 0x20 // traffic light: a letter per link, string
	SignalPhase   = 0x28 // traffic light: index of the phase; set with 0x22, integer
	SetPhase      = 0x22 // traffic light: index of the phase, integer
	SignalProgram = 0x29 // traffic light: program id; set with 0x23, string
	SetProgram    = 0x23 // traffic light: program id, string
	NextSwitch    = 0x2d // traffic light: s, double

	Speed           = 0x40 // vehicle: m/s, double
	Position        = 0x42 // vehicle, junction: 2D position in m
	Length          = 0x44 // vehicle, lane: m, double
	VehicleClass    = 0x49 // vehicle: string
	TypeID          = 0x4f // vehicle: string
	LaneID          = 0x51 // vehicle: string
	LanePosition    = 0x56 // vehicle: m from the lane's start, double
	WaitingTime     = 0x7a // vehicle: s since it last moved at 0.1 m/s or more, double
	AccumulatedWait = 0x87 // vehicle: s of the last 100 s, double
	TimeLoss        = 0x8c // vehicle: s, double
	StopState       = 0xb5 // vehicle: bit 0: stopped at a stop, integer
	CO2             = 0x60 // vehicle, lane: mg/s, double

	Time             = 0x66 // simulation: s, double
	Loaded           = 0x71 // simulation: vehicles loaded in the last step, integer
	LoadedIDs        = 0x72 // simulation: strings
	Departed         = 0x73 // simulation: vehicles that entered in the last step, integer
	DepartedIDs      = 0x74 // simulation: strings
	TeleportsStarted = 0x75 // simulation: integer
	Arrived          = 0x79 // simulation: integer
	ArrivedIDs       = 0x7a // simulation: strings
	Colliding        = 0x80 // simulation: integer
	StepLength       = 0x7b // simulation: s, double
	MinExpected      = 0x7d // simulation: vehicles in the network or still to come, integer
	Pending          = 0x94 // simulation: vehicles that wait to enter, strings
	Edges            = 0x54 // vehicle: edges of its route, strings
	EmergencyStops   = 0x89 // simulation: integer
)

// Types of values on the wire.
const (
	typePosition2D  = 0x01
	typePosition3D  = 0x03
	typePolygon     = 0x06
	typeUbyte       = 0x07
	typeByte        = 0x08
	typeInteger     = 0x09
	typeDouble      = 0x0b
	typeString      = 0x0c
	typeStrings     = 0x0e
	typeCompound    = 0x0f
	typeDoubles     = 0x10
	typeColor       = 0x11
	resultOK        = 0x00
	resultNotKnown  = 0x01
	resultError     = 0xff
	invalidDouble   = -1073741824.0
	maxMessage      = 256 << 20
	maxStringLength = 64 << 20
)
