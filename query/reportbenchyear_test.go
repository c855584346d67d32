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

// The size of the year of the report benchmarks.
const (
	benchClientDays = 1_000_000
	benchDays       = 365 // the last one is today
	benchTailDays   = 1   // of them, that are not committed yet: far more than a cut gathers
	benchNames      = 30  // of events, in benchCategories
)

var benchCategories = []string{"File", "Edit", "View", "Tools", "Help"}

// benchClient is one client and what determines its properties.
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

// benchYear is a year of one product that ends today and has benchClientDays
// client-days. It is the same for the same today.
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

func (y *benchYear) random(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(y.seed, stream)) }

// newClient returns a client that is installed on some day, stays for some
// time, and is active on at most maxDays days of it.
func (y *benchYear) newClient(n uint64, maxDays int) (c *benchClient, days int) {
	r := y.random(n)
	c = &benchClient{
		id: r.Int64N(math.MaxInt64-1) + 1, lag: r.IntN(40), pro: r.IntN(3 * benchDays), moved: r.IntN(4 * benchDays), licensed: r.IntN(2 * benchDays),
		country: int(math.Pow(r.Float64(), 2) * 40), platform: r.IntN(3), memory: 1 + r.IntN(8), campaign: r.IntN(10), travels: r.IntN(50) == 0,
	}
	installed := max(0, r.IntN(benchDays+benchDays/4)-benchDays/4)
	lastDay := installed + int(r.ExpFloat64()*250)
	activity := 0.05 + 0.75*math.Pow(r.Float64(), 1.5)
	for day := installed; day < benchDays && day <= lastDay && days < maxDays; day++ {
		if c.active[day] = day == installed || r.Float64() < activity; c.active[day] {
			days++
		}
	}
	return c, days
}

// clientProps appends the $client of a day.
func (c *benchClient) clientProps(to []byte, day int) []byte {
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

// appendDay appends the events of one day of a shard.
func (y *benchYear) appendDay(r *rand.Rand, s *benchShard, day int) {
	midnight := y.first.AddDate(0, 0, day).UnixMilli()
	var clientProps []byte
	for _, c := range y.shards[s.shard] {
		if !c.active[day] {
			continue
		}
		clientProps = c.clientProps(clientProps[:0], day)
		at := midnight + r.Int64N(reportDay/2)
		for range 1 + r.IntN(6)/4 + r.IntN(6)/5 {
			at = y.session(r, s, schemas.Event{Product: 1, Client: c.id, Time: at, ClientProps: clientProps})
		}
	}
}

// session appends a session that begins with e and returns the time after its
// end.
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

// append appends an event at the next offset.
func (s *benchShard) append(e *schemas.Event) {
	s.rows.Append(e, columns.Position{Shard: s.shard, Offset: s.next, Arrival: arrivalAt(s.next)})
	s.next++
}
