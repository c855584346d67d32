package schemas

// Columns of the CSV files of raw events, which package export writes and weir
// import reads. They are found by name; new ones are appended.
const (
	RawID               = "id"         // random_id
	RawReceived         = "received"   // log time; 2024-03-01T09:15:00.042Z
	RawTime             = "time"       // itime; in the same form
	RawClientID         = "clientId"   // EUID
	RawName             = "name"       // event_name
	RawCategory         = "category"   // $category
	RawValue            = "value"      // $value as stored, in its shortest form
	RawSessionID        = "sessionId"  // $session_id
	RawRuntime          = "runtime"    // $runtime; seconds
	RawAppKey           = "appKey"     // app_key of the request
	RawProperties       = "properties" // JSON object of the event's own properties
	RawShard            = "shard"
	RawOffset           = "offset"
	RawAppName          = "appName"       // $app_name; the files of before end ahead of it
	RawAppVersion       = "appVersion"    // $app_version
	RawContentLocale    = "contentLocale" // $content_locale
	RawUILocale         = "uiLocale"      // $ui_locale
	RawOffline          = "offline"       // $offline: true, false or empty
	RawUserAgent        = "userAgent"     // $user_agent
	RawIP               = "ip"            // $ip
	RawUser             = "user"          // $user as JSON
	RawClient           = "$client"       // $client as the event sent it, with its country: JSON with dotted names
	RawHasException     = "hasException"  // true if the event has an exception, whose members may all be empty
	RawExceptionClass   = "exceptionClass"
	RawExceptionMethod  = "exceptionMethod"
	RawExceptionMessage = "exceptionMessage"
	RawExceptionStack   = "exceptionStack"
	RawValueText        = "valueText" // $value as it was sent, when that is not its shortest form
	RawKnown            = "client"    // the properties of the client as they were known at the event, $client included: JSON with dotted names; not imported
)
