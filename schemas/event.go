// Package schemas defines the types that cross between Weir's services or to a
// client: the event and its limits, the change of a client, and the error that
// a client may read.
package schemas

import "github.com/apache/arrow/go/v17/arrow/decimal128"

// Limits of one event and of one request to the Ingestion API. Four of them are
// EngageLab's: the header of its iOS SDK gives 500 properties and 256 bytes of a
// name, its document of /v1/user/register 100 values and 256 characters of an
// identity. The others are Weir's own: no published document states a
// limit.
const (
	MaxBatchEvents    = 1000            // events in a request
	MaxBodyBytes      = 4 << 20         // body after decompression
	MaxEventBytes     = 512 << 10       // one event as a record
	MaxNameChars      = 256             // characters of an event name, category, session id, random id, app_key, a property's name in $client
	MaxTextChars      = 8 << 10         // any other text with a column of its own: versions, locales, user agent, one client property
	MaxFutureMS       = 3600_000        // how far an event may lie ahead of the edge's clock; milliseconds
	MaxProperties     = 500             // own properties of one event
	MaxNesting        = 64              // depth of a JSON value
	ValueScale        = 9               // digits after the decimal point of Event.Value
	ValuePrecision    = 38              // digits of Event.Value that a record may hold; those of before MaxValueDigits have up to 29 before the point
	MaxValueDigits    = 18              // digits of $value before the decimal point that are accepted: it is below 10^18, so that sums fit their columns
	MaxRuntimeMS      = 31_622_400_000  // longest $runtime that is accepted: 366 days; milliseconds
	MinTimeMS         = 0               // earliest event time that a record may hold: 1970-01-01; epoch milliseconds
	MinSentTimeMS     = 100_000_000_000 // earliest itime that is accepted: 1973-03-03T09:46:40Z; a smaller one is in seconds
	MaxTimeMS         = 253402300799999 // latest event time that a record may hold: the end of the year 9999
	MaxIdentityValues = 100             // identity values in a request to /v1/user/register
	MaxIdentityChars  = 256             // characters of one identity value
)

// Event is one action of a client. It is immutable: the edge looks up whatever
// can change later and stores the result in the event.
type Event struct {
	Product       int64           // product id, positive
	Client        int64           // EUID, positive
	Time          int64           // when it happened; epoch milliseconds, UTC
	Name          string          // never empty
	RandomID      string          // never empty once accepted; dedupe key within product and client
	Category      *string         // $category; nil when absent
	Value         *decimal128.Num // $value in units of 10^-9; nil when absent
	SessionID     string          // $session_id
	RuntimeMS     *int64          // $runtime in milliseconds; nil when absent
	AppKey        string          // app_key of the request
	AppName       string          // $app_name
	AppVersion    string          // $app_version
	ContentLocale string          // $content_locale
	UILocale      string          // $ui_locale
	Offline       *bool           // $offline; nil when absent
	UserAgent     string          // $user_agent
	IP            string          // $ip
	User          []byte          // $user as a JSON object; nil when absent
	ClientProps   []byte          // $client as a flat JSON object with dotted names; nil when absent
	Exception     *Exception      // nil when the event reports none
	ValueText     string          // $value as it was sent, when that is not its shortest form; at most MaxTextChars
	Properties    []byte          // the event's own properties, a JSON object verbatim; nil when none
}

// Exception describes the exception that an event reports.
type Exception struct {
	Class, Method, Message, Stack string
}

// Names of events that rollups and exports treat specially (schemas/DESIGN.md
// "Data model").
const (
	SessionStart  = "session_start" // counts as one session on its day
	SessionStop   = "session_stop"  // carries $runtime
	ExceptionName = "exception"     // is an exception even without $exception
)
