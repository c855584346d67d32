package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"weir/schemas/clientaddr"
)

// Config has every setting of every server process. The tags of a field give its
// name, default, allowed values and description; the example file and --help are
// generated from them.
//
// To add a setting, add a field here, pass it on in app.go, check it in validate if
// some values cannot work (that a number is not 0 is checked by its tags), and run go test ./deploy/weir -run ExampleFile -update.
// Names are stable: operators have them in files, units and manifests.
type Config struct {
	Data   string `key:"data" default:"weir-data" help:"folder of all data of weir all; admin and check use it too"`
	Listen string `key:"listen" default:"127.0.0.1:8080" help:"host:port of all APIs, their documents and the downloads"`

	Log       logConfig       `key:"log" help:"The log, on standard error."`
	TLS       tlsConfig       `key:"tls" help:"HTTPS on the main address; set both or none. Without them, put a TLS proxy in front."`
	HTTP      httpConfig      `key:"http" help:"Limits of every HTTP server of the process."`
	Admin     adminConfig     `key:"admin" help:"Metrics, profiles and the balance: for operators, not for clients."`
	Memory    memoryConfig    `key:"memory" help:"How much memory the process may use."`
	Embedded  embeddedConfig  `key:"embedded" help:"The broker and the object store inside weir all."`
	Kafka     kafkaConfig     `key:"kafka" help:"The log, for ingest and processor. weir all has an embedded one."`
	Topic     topicConfig     `key:"topic" help:"How the events topic is created. Afterwards these settings are only compared with it."`
	S3        s3Config        `key:"s3" help:"The object store, for processor and query. weir all has an embedded one."`
	Database  databaseConfig  `key:"database" help:"Accounts, keys, leases and the Iceberg catalog."`
	Cluster   clusterConfig   `key:"cluster" help:"What the processes of one cluster share."`
	Lake      lakeConfig      `key:"lake" help:"The Iceberg tables."`
	Ingest    ingestConfig    `key:"ingest" help:"The Ingestion API."`
	Processor processorConfig `key:"processor" help:"The service that moves events from the log into the lake."`
	Query     queryConfig     `key:"query" help:"The User Events, Events and Reporting APIs."`
}

// logConfig sets how the process logs. Ingest and query log one line per request,
// at level debug only.
type logConfig struct {
	Format string `key:"format" default:"auto" only:"auto,text,json" help:"text or json; auto is text on a terminal and json elsewhere"`
	Level  string `key:"level" default:"info" only:"debug,info,warn,error" help:"the least important lines to write"`
}

// tlsConfig enables HTTPS on the main address. The files are read once: a renewed
// certificate needs a restart.
type tlsConfig struct {
	Cert string `key:"cert" help:"file with the certificate and its chain, PEM"`
	Key  string `key:"key" help:"file with its private key, PEM"`
}

// httpConfig limits what a client may use of every HTTP server of the process.
// Bodies and answers have limits in the services themselves, which know how long
// they may take.
type httpConfig struct {
	HeaderTimeout  time.Duration `key:"header_timeout" default:"10s" zero:"ok" help:"time for the header of a request to arrive"`
	IdleTimeout    time.Duration `key:"idle_timeout" default:"2m" zero:"ok" help:"time after which an idle connection is closed"`
	MaxHeaderBytes bytesize      `key:"max_header_bytes" default:"64KiB" help:"size of the header of one request"`
	DrainTimeout   time.Duration `key:"drain_timeout" default:"30s" zero:"ok" help:"time for requests in flight to end when the process stops"`
	MinRate        bytesize      `key:"min_rate" default:"4KiB" help:"bytes per second at which a client must send a body and read an answer; whoever is slower is cut off after rate_grace"`
	RateGrace      time.Duration `key:"rate_grace" default:"30s" help:"how long a client may be slower than min_rate, or do nothing; of the bodies of ingest it is ingest.read_timeout, of what query reads and writes query.write_stall"`
	MaxConnections int           `key:"max_connections" default:"0" help:"connections that all listeners together may have; 0 means half of the files that the process may open. Half of them are the main address's"`
	MaxPerAddress  int           `key:"max_per_address" default:"0" help:"connections of one address, IPv6 by /64, and requests in flight of one that a trusted proxy names; 0 means an eighth of the files that the process may open"`
	MaxRequests    int           `key:"max_requests" default:"10000" help:"requests of one connection, which then ends with its answer"`
	MaxAge         time.Duration `key:"max_age" default:"1h" help:"age at which a connection ends with its next answer"`
	TrustedProxies []string      `key:"trusted_proxies" help:"addresses and networks (10.0.0.0/8) of the proxies that set X-Forwarded-For and X-Forwarded-Proto; every limit per address then counts the address that the first of them saw"`
}

// adminConfig is the address for operators. Its default is loopback; see adminGuard.
type adminConfig struct {
	Listen string `key:"listen" default:"127.0.0.1:0" help:"host:port of /metrics, /debug/pprof and /check, or unix:/path of a socket; port 0 picks a free one, which is printed"`
	Token  string `key:"token" help:"text that requests there bring as Authorization: Bearer; at least 16 characters. Required where other machines can reach admin.listen"`
}

// memoryConfig sets the soft limit of the Go runtime. It makes the collector work
// harder near the limit; it is not a bound. The limits of each service bound what
// is held.
type memoryConfig struct {
	Limit bytesize `key:"limit" default:"0" help:"soft limit of the Go heap; 0 means 448MiB in weir all, and elsewhere 192MiB and what the limits of the services allow. The variable GOMEMLIMIT wins"`
}

// embeddedConfig configures the parts of package embedded. Only weir all has them.
type embeddedConfig struct {
	KafkaListen  string        `key:"kafka_listen" default:"127.0.0.1:0" help:"loopback host:port of the broker; port 0 picks a free one"`
	S3Listen     string        `key:"s3_listen" default:"127.0.0.1:0" help:"loopback host:port of the object store; port 0 picks a free one"`
	LoginTimeout time.Duration `key:"login_timeout" default:"10s" help:"time for a connection to the broker to log in, with what kafka.json of the folder says"`
	MaxLogins    int           `key:"max_logins" default:"256" help:"connections to the broker that have not logged in; the oldest of more is closed"`
	LogCap       bytesize      `key:"log_cap" default:"512MiB" zero:"ok" help:"bytes of events not in the lake yet at which ingest answers 503; a restart after a crash reads them into memory"`
	MinFree      bytesize      `key:"min_free" default:"256MiB" zero:"ok" help:"free space on the disk below which ingest answers 503"`
}

// kafkaConfig is the Kafka cluster. weir all refuses kafka.brokers, so that events
// never go to another log than the one the operator sees.
type kafkaConfig struct {
	Brokers  []string `key:"brokers" help:"host:port of some brokers, comma-separated or a list"`
	TLS      bool     `key:"tls" default:"false" help:"use TLS to the brokers"`
	SASL     string   `key:"sasl" default:"none" only:"none,plain,scram-sha-256,scram-sha-512" help:"how to log in to the brokers"`
	User     string   `key:"user" help:"user of the log-in"`
	Password string   `key:"password" help:"password of the log-in"`

	RequestTimeout time.Duration `key:"request_timeout" default:"10s" help:"time for a broker to answer one attempt of a request, besides what the request itself lets it wait"`
}

// topicConfig is used when the topic is created. A process refuses to start when
// the topic has another number of shards: the shard of a client is a hash modulo
// that number, and its events must stay in one shard.
type topicConfig struct {
	Shards      int `key:"shards" default:"0" help:"partitions; 0 means 4. They cannot be changed later: allow for growth"`
	Replication int `key:"replication" default:"3" zero:"ok" help:"copies of each record; weir all has one"`
	MinISR      int `key:"min_isr" default:"2" zero:"ok" help:"copies that must be in sync for a record to be acknowledged; weir all has one"`
}

// s3Config is the object store. The two buckets must differ, since presigned links
// lead into the export bucket.
type s3Config struct {
	Endpoint     string `key:"endpoint" help:"URL of the server; empty means AWS"`
	Region       string `key:"region" default:"us-east-1" help:"region that requests are signed for"`
	AccessKey    string `key:"access_key" help:"empty uses the credential chain of the AWS SDK: variables, profile, instance role"`
	SecretKey    string `key:"secret_key" help:"secret of access_key"`
	PathStyle    bool   `key:"path_style" default:"true" help:"bucket in the path and not in the host name; most servers other than AWS need it"`
	LakeBucket   string `key:"lake_bucket" default:"weir-lake" help:"bucket of the Iceberg tables; created if missing"`
	ExportBucket string `key:"export_bucket" default:"weir-exports" help:"bucket of the downloads; created if missing"`

	StallTimeout time.Duration `key:"stall_timeout" default:"30s" help:"time in which the body of a request or answer must move on by min_rate; then the request is ended and repeated"`
	MinRate      bytesize      `key:"min_rate" default:"4KiB" help:"bytes a second that a body must move on average over stall_timeout"`
}

// databaseConfig is the SQL database of the registry, the leases of shards and
// the Iceberg catalog.
type databaseConfig struct {
	URL string `key:"url" help:"postgres://… for a cluster, sqlite:/absolute/path for processes on one machine; weir all has its own"`

	CallTimeout time.Duration `key:"call_timeout" default:"30s" help:"time for one call: connecting, a statement with its rows, a transaction; migrations have none"`
}

// clusterConfig is the same in every process of a cluster.
type clusterConfig struct {
	Secret string `key:"secret" help:"random text with which query processes authenticate to processors; at least 16 characters"`
}

// lakeConfig sets how new data files are written, and what is kept of those that
// are read. Existing files are not rewritten and stay readable.
type lakeConfig struct {
	Prefix      string   `key:"prefix" help:"folder inside the bucket"`
	Compression string   `key:"compression" default:"zstd" only:"zstd,snappy,none" help:"compression of Parquet pages"`
	FooterBytes bytesize `key:"footer_bytes" default:"64MiB" zero:"ok" help:"memory for parsed footers of data files, those used last; others are read again"`
}

// ingestConfig is ingest.Config, as settings.
type ingestConfig struct {
	MaxInFlight     int           `key:"max_in_flight" default:"64" help:"requests that one key may have in flight"`
	MaxHeldBytes    bytesize      `key:"max_held_bytes" default:"256MiB" help:"memory that all requests together may hold, from the first byte of a body until Kafka has acknowledged the last record; then 503"`
	MaxSourceBytes  bytesize      `key:"max_source_bytes" default:"0" help:"part of max_held_bytes that one data source may hold once half of it is held, then 429; 0 means an eighth"`
	MaxAccountBytes bytesize      `key:"max_account_bytes" default:"0" help:"part of max_held_bytes that all data sources of one account may hold once half of it is held, then 429; 0 means a quarter"`
	MaxUnackedBytes bytesize      `key:"max_unacked_bytes" default:"8MiB" help:"records that wait for Kafka at once; the requests of accounts take turns"`
	Decoders        int           `key:"decoders" default:"0" help:"bodies that are decoded at once, a quarter of them larger than 256 KiB; the requests of accounts take turns. 0 means one for each CPU"`
	QueueWait       time.Duration `key:"queue_wait" default:"5s" help:"time that a request waits for its turn, then 429 where the same account has more that wait, else 503"`
	Registrations   int           `key:"max_registrations" default:"4" help:"requests to register names of clients that are with the database at once; others wait up to queue_wait, then 503. One account has a quarter while others wait"`
	MaxNames        int64         `key:"max_names" default:"10000000" zero:"ok" help:"names of clients (user_id, ref_id, …) that one product may have, then 429; 0 is no limit"`
	ReadTimeout     time.Duration `key:"read_timeout" default:"30s" zero:"ok" help:"how long the body of a request may be slower than http.min_rate, or stop, before 408"`
	PublishTimeout  time.Duration `key:"publish_timeout" default:"10s" zero:"ok" help:"time for Kafka to acknowledge a request"`
	AllowedOrigins  []string      `key:"allowed_origins" help:"origins that browsers may send events from, * for all"`
	GeoIP           string        `key:"geoip" help:"path of a MaxMind DB (.mmdb) of countries or cities that maps the $ip of events to a country; opened at the start. Empty disables the look-up"`
}

// processorConfig is processor.Config, as settings, with the address of the tail
// server. The tail needs an address of its own, which only query processes use.
type processorConfig struct {
	ID            string        `key:"id" help:"name of this process as an owner of shards; with a name that is the same after a restart it gets its shards back at once"`
	Listen        string        `key:"listen" default:"127.0.0.1:0" help:"host:port on which query processes fetch the tail; not for clients"`
	Advertise     string        `key:"advertise" help:"host:port under which other processes reach processor.listen; empty means that address itself"`
	CutAge        time.Duration `key:"cut_age" default:"60s" help:"age of the oldest gathered event at which a shard is cut to Parquet files"`
	GatherBytes   bytesize      `key:"gather_bytes" default:"144MiB" help:"memory for rows that are not in the lake yet, all shards of the process together"`
	DedupeWindow  time.Duration `key:"dedupe_window" default:"24h" help:"time within which the same random_id counts once; 1h to 720h"`
	DedupeBytes   bytesize      `key:"dedupe_bytes" default:"64MiB" zero:"ok" help:"memory for fingerprints of events; older ones are in scratch"`
	Scratch       string        `key:"scratch" help:"folder for fingerprint files, a cache that may be deleted while the process is stopped; empty means the temporary folder of the system"`
	LeaseTTL      time.Duration `key:"lease_ttl" default:"10s" help:"time after which the shards of a process that does not respond get another owner"`
	DrainTimeout  time.Duration `key:"drain_timeout" default:"30s" zero:"ok" help:"time for the last cut when the process stops"`
	CompactEvery  time.Duration `key:"compact_every" default:"10s" zero:"ok" help:"how often data files that are due are merged into larger ones"`
	CommitTimeout time.Duration `key:"commit_timeout" default:"2m" help:"time for one commit to one table; it is then tried again, after the commits of other shards"`
	MaxCutWait    time.Duration `key:"max_cut_wait" default:"5m" help:"time for a sealed cut to reach all tables, after which /readyz answers 503"`
	MaxClockJump  time.Duration `key:"max_clock_jump" default:"1h" help:"how far the clock may jump ahead while the process runs, or log time move at a start without another machine's word; then shards stop until weir admin accept-clock"`
	KeepSnapshots time.Duration `key:"keep_snapshots" default:"15m" zero:"ok" help:"how long a scan or another engine may use a snapshot of a table, and its metadata file; with more than 100 of a table, commits pause up to 10s"`
	Adopt         bool          `key:"adopt" default:"false" help:"allow a shard that is not in the lake to start from a log that does not begin at offset 0"`
	AcceptLoss    string        `key:"accept_loss" help:"records of the log that the operator gives up, as shard@next:offset,… from the error message"`
}

// queryConfig is query.Config, as settings.
type queryConfig struct {
	Lookback       time.Duration `key:"lookback" default:"8760h" zero:"ok" help:"how far back startDate of the Events API may lie; 0 is no limit"`
	ReachWait      time.Duration `key:"reach_wait" default:"2s" zero:"ok" help:"how long a request waits for its Weir-Watermark to be reached"`
	MaxScans       int           `key:"max_scans" default:"16" help:"requests that scan at the same time; others wait up to scan_wait"`
	MaxAnswers     int           `key:"max_answers" default:"0" help:"answers that scan or wait for their client to read; 0 means twice max_scans. One account has at most a quarter of these and of max_scans while others wait"`
	ScanWait       time.Duration `key:"scan_wait" default:"10s" zero:"ok" help:"how long a request waits to scan before it gets 503"`
	MaxCounts      int64         `key:"max_counts" default:"3000000" help:"numbers that an answer of a report may have: buckets x series x numbers of each"`
	MaxSeries      int64         `key:"max_series" default:"100000" help:"series that an answer of a report may have, those of all levels together"`
	MaxAnswer      bytesize      `key:"max_answer_bytes" default:"64MiB" help:"size that an answer of a report may have, approximately"`
	MaxConditions  int64         `key:"max_conditions" default:"1000" help:"filters, segments and flags that a question may have"`
	MaxPattern     int64         `key:"max_pattern_bytes" default:"2000" help:"length of a regular expression in a question"`
	MaxProgram     int64         `key:"max_pattern_size" default:"1000" help:"instructions of a regular expression with its repetitions written out; all of a question may have ten times as many"`
	MaxMatchTime   time.Duration `key:"max_match_time" default:"10s" help:"time that a question may spend on matching its regular expressions"`
	MaxEventNames  int           `key:"max_event_names" default:"20000" help:"events of a product that an answer lists by name, and whose tracking may be changed; those first seen later are counted together as <OTHER>"`
	ReportBytes    bytesize      `key:"report_bytes" default:"48MiB" help:"memory for the clients of one report or export file; more clients are processed in several passes"`
	WriteStall     time.Duration `key:"write_stall" default:"30s" zero:"ok" help:"how long a client may be slower than http.min_rate, or stop, in sending its question and in reading the answer"`
	ReadRate       bytesize      `key:"read_rate" default:"32KiB" help:"bytes a second that a client must read of an answer on average, after the first write_stall"`
	DownloadTTL    time.Duration `key:"download_ttl" default:"15m" zero:"ok" help:"how long a download link works"`
	PublicEndpoint string        `key:"public_endpoint" help:"URL of the object store as clients see it; empty serves downloads through the address of the request, or, when s3.endpoint is empty, links to AWS"`
	Origins        []string      `key:"origins" default:"https://analytics.revenera.com" help:"values of Origin that the Reporting API accepts besides its own"`
	AllowedOrigins []string      `key:"allowed_origins" help:"origins whose pages may read answers of the User Events API and the Events API in a browser, * for all"`
	TrustProxy     bool          `key:"trust_proxy" default:"false" help:"as http.trusted_proxies, for whoever connects: only where clients cannot pass the proxy by. Prefer http.trusted_proxies"`
	Builds         int           `key:"builds" default:"2" help:"download files that are built at the same time"`
	DayFiles       int           `key:"max_day_files" default:"100" help:"files of open days, older ones included until they are deleted, that the downloads of a product may keep in the bucket; then 429"`
	DeflateLevel   int           `key:"deflate_level" default:"1" help:"compression of download files; 1 is fast, 9 is small"`
	CloseEvery     time.Duration `key:"close_every" default:"1m" zero:"ok" help:"how often to check for days that have closed"`

	LoginTries        int           `key:"login_tries" default:"10" help:"wrong passwords for one user name from one address, or from one device that it logged in from; one more every 12 s, else 429"`
	LoginTriesName    int           `key:"login_tries_name" default:"50" help:"wrong passwords for one user name from all addresses that it did not log in from before; one more every 12 s, else 429"`
	LoginTriesAddress int           `key:"login_tries_address" default:"100" help:"wrong passwords from one address for all user names that did not log in from it before; one more every 6 s, else 429"`
	LoginWait         time.Duration `key:"login_wait" default:"5s" help:"how long a login waits for its password to be hashed before it gets 503"`
	LoginWaiting      int           `key:"login_waiting" default:"256" help:"logins that wait for that, a quarter of them from one address; more get 503"`
}

// load reads the settings from args, variables and the file, and the flags of
// options, which only this command has. It returns the arguments that are no
// flags.
func (p *process) load(args []string, options any) (cfg Config, rest []string, err error) {
	settings, _ := listSettings(&cfg)
	var file struct {
		Config string `key:"config"`
	}
	flags := settings
	for _, more := range []any{&file, options} {
		if more != nil {
			own, _ := listSettings(more)
			flags = append(slices.Clone(flags), own...)
		}
	}
	if err := setDefaults(flags); err != nil {
		return cfg, nil, err
	}
	// Flags are parsed twice: first to find the file, and last to override it.
	file.Config = p.getenv("WEIR_CONFIG")
	_, _, flagErr := parseFlags(args, flags)
	var errs []error
	if file.Config != "" {
		errs = append(errs, readFile(file.Config, settings))
	}
	errs = append(errs, parseEnviron(p.environ, settings))
	rest, _, _ = parseFlags(args, flags)
	if err := errors.Join(append(errs, flagErr)...); err != nil {
		return cfg, nil, usageError{err}
	}
	return cfg, rest, cfg.makePathsAbsolute()
}

// loadFlags is load for a command that takes flags alone.
func (p *process) loadFlags(args []string, options any) (Config, error) {
	cfg, rest, err := p.load(args, options)
	if err == nil {
		err = noArguments(rest)
	}
	return cfg, err
}

// readFile reads the YAML file. Unknown keys are errors: a misspelt limit would
// otherwise be silently without effect.
func readFile(path string, settings []setting) error {
	text, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	if err := parseYAML(text, settings); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// makePathsAbsolute makes every path independent of the working directory, which
// the embedded store changes.
func (c *Config) makePathsAbsolute() error {
	for _, path := range []*string{&c.Data, &c.TLS.Cert, &c.TLS.Key, &c.Processor.Scratch, &c.Ingest.GeoIP} {
		if *path == "" {
			continue
		}
		whole, err := filepath.Abs(*path)
		if err != nil {
			return fmt.Errorf("resolve %s: %w", *path, err)
		}
		*path = whole
	}
	return c.Admin.makePathAbsolute()
}

// validate returns every setting that cannot work in any process.
func (c *Config) validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s %w", key, fmt.Errorf(format, args...)))
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		bad("tls.cert", "and tls.key go together")
	}
	if _, err := c.trustedProxies(); err != nil {
		bad("http.trusted_proxies", "has an item that cannot work: %w", err)
	}
	if w := c.Processor.DedupeWindow; w != 0 && w < time.Hour || w > 30*24*time.Hour {
		bad("processor.dedupe_window", "is %s, want 1h to 720h", w)
	}
	if host, _, err := net.SplitHostPort(c.Processor.Listen); err == nil && c.Processor.Advertise == "" && isWildcard(host) {
		bad("processor.advertise", "must be set: processor.listen is %s, which is no address to connect to", c.Processor.Listen)
	}
	if c.S3.LakeBucket == c.S3.ExportBucket {
		bad("s3.export_bucket", "must not be s3.lake_bucket: downloads are served to clients")
	}
	if slices.Contains([]string{"v1", "v3", "api", "analytics", "healthz", "readyz"}, c.S3.ExportBucket) {
		bad("s3.export_bucket", "is %q, which is a path of the API", c.S3.ExportBucket)
	}
	if err := c.Admin.check(); err != nil {
		errs = append(errs, err)
	}
	if l := c.Query.DeflateLevel; l > 9 {
		bad("query.deflate_level", "is %d, want 1 to 9", l)
	}
	errs = append(errs, c.badNumbers()...)
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// badNumbers returns the settings whose number cannot work. One with a default above 0
// must be above 0, unless its tag zero says that 0 is a value, too.
func (c *Config) badNumbers() (errs []error) {
	settings, _ := listSettings(c)
	for _, s := range settings {
		n, isNumber := s.number()
		switch {
		case !isNumber || s.zero:
		case s.def == "0" && n < 0:
			errs = append(errs, fmt.Errorf("%s is %d, want 0 or more", s.key, n))
		case s.def != "0" && n <= 0:
			errs = append(errs, fmt.Errorf("%s must be more than 0", s.key))
		}
	}
	for key, n := range map[string]bytesize{"ingest.max_source_bytes": c.Ingest.MaxSourceBytes, "ingest.max_account_bytes": c.Ingest.MaxAccountBytes} {
		if n > c.Ingest.MaxHeldBytes {
			errs = append(errs, fmt.Errorf("%s is more than ingest.max_held_bytes", key))
		}
	}
	return errs
}

// trustedProxies returns the proxies whose headers are believed.
func (c *Config) trustedProxies() (clientaddr.Proxies, error) {
	return clientaddr.New(c.HTTP.TrustedProxies, c.Query.TrustProxy)
}

// isWildcard reports whether host means every address of the machine.
func isWildcard(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

// require returns which of the settings of a cluster process are missing.
func (c *Config) require(keys ...string) error {
	settings, _ := listSettings(c)
	var errs []error
	for _, key := range keys {
		i := slices.IndexFunc(settings, func(s setting) bool { return s.key == key })
		if i < 0 || settings[i].field.IsZero() {
			errs = append(errs, fmt.Errorf("%s is not set", key))
		}
	}
	if secret := c.Cluster.Secret; secret != "" && len(secret) < 16 {
		errs = append(errs, errors.New("cluster.secret must have at least 16 characters"))
	}
	return errors.Join(errs...)
}

// exampleFile returns deploy/config.example.yaml: every setting at its default.
func exampleFile() string {
	var cfg Config
	settings, sections := listSettings(&cfg)
	var b strings.Builder
	b.WriteString(`# Every setting of Weir at its default. A setting a.b_c is the flag --a.b-c and the
# variable WEIR_A_B_C; flags win over variables, variables over this file.
# Sizes are "500", "64KiB", "16MiB", "2GiB"; times are "90s", "5m", "24h".
`)
	at := ""
	for _, s := range settings {
		parent, name := "", s.key
		if i := strings.LastIndex(s.key, "."); i >= 0 {
			parent, name = s.key[:i], s.key[i+1:]
		}
		if parent != at {
			at = parent
			i := slices.IndexFunc(sections, func(c section) bool { return c.key == parent })
			fmt.Fprintf(&b, "\n# %s\n%s:\n", sections[i].help, parent)
		}
		indent := strings.Repeat("  ", strings.Count(s.key, "."))
		fmt.Fprintf(&b, "%s# %s\n%s%s: %s\n", indent, s.help+s.choices(), indent, name, s.yamlDefault())
	}
	return b.String()
}
