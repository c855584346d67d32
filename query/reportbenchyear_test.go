package query

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/apache/arrow/go/v17/arrow/decimal128"

	"weir/schemas"
	"weir/schemas/columns"
)

// How large the year of the report benchmarks is.
const (
	benchClientDays = 1_000_000
	benchDays       = 365 // the last one is today
	benchTailDays   = 1   // of them, that are not committed yet: far more than a cut gathers
	benchNames      = 30  // of events, in benchCategories
)

var benchCategories = []string{"File", "Edit", "View", "Tools", "Help"}

// benchClient is one client and what it says of itself.
type benchClient struct {
	id       int64
	active   [benchDays]bool
	lag      int // days until it has a new version
	pro      int // day on which it bought the better edition
	moved    int // day on which it got another operating system
	licensed int // day on which its license was activated
	country  int
	platform int
	memory   int
	campaign int
	travels  bool
}

// benchYear is a year of one product, ending today, with benchClientDays days
// of clients. The same day gives the same year.
type benchYear struct {
	seed      uint64
	first     time.Time // midnight of the first day
	shards    [listShards][]*benchClient
	clients   int
	committed [listShards]int64 // next offset of what is in the lake
	zipf      []float64         // cumulative shares of events
}

func newBenchYear() *benchYear {
	y := &benchYear{seed: 20, first: time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 1-benchDays)}
	sum := 0.0
	for i := range benchNames {
		sum += 1 / math.Pow(float64(i+1), 1.1)
		y.zipf = append(y.zipf, sum)
	}
	for days := 0; days < benchClientDays; y.clients++ {
		c, active := y.newClient(uint64(y.clients), benchClientDays-days)
		days += active
		shard := c.id % listShards
		y.shards[shard] = append(y.shards[shard], c)
	}
	return y
}

func (y *benchYear) random(of uint64) *rand.Rand { return rand.New(rand.NewPCG(y.seed, of)) }

// newClient is a client that has come at some time, stays for some, and is
// active on some days of it, at most most.
func (y *benchYear) newClient(n uint64, most int) (c *benchClient, days int) {
	r := y.random(n)
	c = &benchClient{
		id: r.Int64N(math.MaxInt64-1) + 1, lag: r.IntN(40), pro: r.IntN(3 * benchDays), moved: r.IntN(4 * benchDays), licensed: r.IntN(2 * benchDays),
		country: int(math.Pow(r.Float64(), 2) * 40), platform: r.IntN(3), memory: 1 + r.IntN(8), campaign: r.IntN(10), travels: r.IntN(50) == 0,
	}
	installed := max(0, r.IntN(benchDays+benchDays/4)-benchDays/4)
	gone := installed + int(r.ExpFloat64()*250)
	often := 0.05 + 0.75*math.Pow(r.Float64(), 1.5)
	for day := installed; day < benchDays && day <= gone && days < most; day++ {
		if c.active[day] = day == installed || r.Float64() < often; c.active[day] {
			days++
		}
	}
	return c, days
}

// said is $client on a day.
func (c *benchClient) said(to []byte, day int) []byte {
	edition, version, country, system := "Free", max(0, (day-c.lag)/30), c.country, 10
	if day >= c.pro {
		edition = "Pro"
	}
	if c.travels && day/7%2 == 1 {
		country = 41
	}
	if day >= c.moved {
		system = 11
	}
	return fmt.Appendf(to, `{"prodVersion":"4.%d","prodEdition":%q,"os.platform":%q,"os.version":"%s %d","geography.country":"%c%c","C01":"campaign-%d","ram":%d,"licenseStatus.activated":%t}`,
		version, edition, benchPlatforms[c.platform], benchPlatforms[c.platform], system, 'A'+country%26, 'B'+country/26, c.campaign, c.memory*2048, day >= c.licensed)
}

var benchPlatforms = []string{"Windows", "macOS", "Linux"}

// sayDay appends the events of a day of a shard, and rolls them up when there
// are many.
func (y *benchYear) sayDay(r *rand.Rand, s *benchShard, day int) {
	midnight := y.first.AddDate(0, 0, day).UnixMilli()
	var said []byte
	for _, c := range y.shards[s.shard] {
		if !c.active[day] {
			continue
		}
		said = c.said(said[:0], day)
		at := midnight + r.Int64N(reportDay/2)
		for range 1 + r.IntN(6)/4 + r.IntN(6)/5 {
			at = y.session(r, s, schemas.Event{Product: 1, Client: c.id, Time: at, ClientProps: said})
		}
	}
}

// session appends a session that begins with e and returns when it is over.
func (y *benchYear) session(r *rand.Rand, s *benchShard, e schemas.Event) int64 {
	e.Name = schemas.SessionStart
	s.append(&e)
	e.ClientProps = nil
	length := r.Int64N(2 * 3600_000)
	stop := e.Time + length
	for range r.IntN(4) {
		n := 0
		for at := r.Float64() * y.zipf[benchNames-1]; y.zipf[n] < at; {
			n++
		}
		e.Time += r.Int64N(stop - e.Time + 1)
		e.Name, e.Category, e.Value = benchEventNames[n], &benchCategories[n%len(benchCategories)], nil
		if n%6 == 2 {
			e.Value = new(decimal128.FromI64(r.Int64N(5000) * 10_000_000))
		}
		s.append(&e)
	}
	e.Name, e.Category, e.Value, e.Time, e.RuntimeMS = schemas.SessionStop, nil, nil, stop, &length
	s.append(&e)
	return stop + 1
}

var benchEventNames = func() (out []string) {
	for i := range benchNames {
		out = append(out, fmt.Sprintf("%s %02d", benchCategories[i%len(benchCategories)], i))
	}
	return out
}()

// append gives an event its place in the shard's log.
func (s *benchShard) append(e *schemas.Event) {
	s.rows.Append(e, columns.Position{Shard: s.shard, Offset: s.next, Arrival: arrivalAt(s.next)})
	s.next++
}
