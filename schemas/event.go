// Package schemas holds what crosses between Weir's services or to a client:
// the event, the limits it is held to, and the error a client may read.
package schemas

import "github.com/apache/arrow/go/v17/arrow/decimal128"

// Limits of one event and of one request to contract 1.
const (
	MaxBatchEvents    = 1000            // events in a request
	MaxBodyBytes      = 4 << 20         // body after decompression
	MaxEventBytes     = 512 << 10       // one event as a record
	MaxNameBytes      = 256             // event name, category, session id, random id, app_key, a property's name in $client
	MaxTextBytes      = 8 << 10         // any other text of its own column: versions, locales, user agent, one client property
	MaxFutureMS       = 3600_000        // how far ahead of the edge's clock an event may be; milliseconds
	MaxProperties     = 500             // own properties of one event
	MaxNesting        = 64              // depth of a JSON value
	ValueScale        = 9               // digits after the point of Event.Value
	ValuePrecision    = 38              // digits of Event.Value
	MinTimeMS         = 0               // earliest event time: 1970-01-01; epoch milliseconds
	MaxTimeMS         = 253402300799999 // latest event time a record may hold: the end of the year 9999
	MaxIdentityValues = 100             // identity values in a request of /v1/user/register
	MaxIdentityChars  = 256             // characters of one identity value
)

// Event is one thing a client did. It is immutable: whatever can change was
// looked up at the edge and stamped into it.
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
	Exception     *Exception      // nil when the event is none
	Properties    []byte          // the event's own properties, a JSON object verbatim; nil when none
}

// Exception is what an event tells of an exception.
type Exception struct {
	Class, Method, Message, Stack string
}

// Names of events with a meaning of their own (design §5).
const (
	SessionStart  = "session_start" // counts as one session, on its day
	SessionStop   = "session_stop"  // carries $runtime
	ExceptionName = "exception"     // is an exception whatever its properties
)
