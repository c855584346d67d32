package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// Plan describes the events to make. The same plan makes the same bytes.
type Plan struct {
	Events     int
	Clients    int
	Days       int
	Seed       uint64
	Stream     string // streams of one seed share no client and no random id
	Duplicates float64
	Start      time.Time // midnight UTC of the first day
}

// Item is one item of data[].
type Item struct {
	EUID       int64          `json:"euid"`
	Name       string         `json:"event_name"`
	Time       int64          `json:"itime"`
	RandomID   string         `json:"random_id"`
	Properties map[string]any `json:"properties"`
}

func (p Plan) check() error {
	switch {
	case p.Events < 1 || p.Clients < 1 || p.Days < 1:
		return errors.New("--events, --clients and --days must be 1 or more")
	case p.Duplicates < 0 || p.Duplicates > 1:
		return errors.New("--duplicates must be from 0 to 1")
	}
	return nil
}

// Lines yields the events as NDJSON, day by day and by time within a day. A
// line is valid until the next one.
func (p Plan) Lines() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if err := p.check(); err != nil {
			yield(nil, err)
			return
		}
		w := newGenerator(p)
		for day := range p.Days {
			for _, item := range w.day(day) {
				line, err := json.Marshal(item)
				if err != nil {
					yield(nil, err)
					return
				}
				line = append(line, '\n')
				again := w.rnd.Float64() < p.Duplicates
				if !yield(line, nil) || again && !yield(line, nil) {
					return
				}
			}
		}
	}
}

// generator holds the clients and the events made so far.
type generator struct {
	plan      Plan
	rnd       *rand.Rand
	clients   []client // installed ones, oldest first
	emitted   int      // events so far
	items     []Item   // of the day being made
	remaining int      // events the day still has room for
}

// client is one installation and its constant properties.
type client struct {
	euid                               int64
	user, country, platform, osVersion string
	locale, edition, license, campaign string
	lag                                int // days from a release to its installation
	sessions                           int
}

func newGenerator(p Plan) *generator {
	h := fnv.New64a()
	h.Write([]byte(p.Stream))
	return &generator{plan: p, rnd: rand.New(rand.NewPCG(p.Seed, h.Sum64()))} //nolint:gosec // events need not be unpredictable
}

// day makes the events of one day: sessions of new clients and of old ones,
// until the day has all its events.
func (w *generator) day(day int) []Item {
	w.items = w.items[:0]
	w.remaining = w.cumulativeEvents(day+1) - w.emitted
	for w.remaining > 0 {
		w.session(day, w.nextClient(day))
	}
	slices.SortStableFunc(w.items, func(a, b Item) int { return int(a.Time - b.Time) })
	w.emitted += len(w.items)
	return w.items
}

// cumulativeEvents returns how many events the first days have together. Traffic grows
// over time and is lower on weekends.
func (w *generator) cumulativeEvents(days int) int {
	var some, all float64
	for d := range w.plan.Days {
		weight := 1 + float64(d)/float64(w.plan.Days)
		if wd := w.plan.Start.AddDate(0, 0, d).Weekday(); wd == time.Saturday || wd == time.Sunday {
			weight *= 0.4
		}
		all += weight
		if d < days {
			some += weight
		}
	}
	if days >= w.plan.Days {
		return w.plan.Events
	}
	return int(float64(w.plan.Events) * some / all)
}

// nextClient installs a client when one is due and otherwise takes an installed
// one; a few are taken far more often than the others.
func (w *generator) nextClient(day int) *client {
	due := max(1, w.plan.Clients*(day+1)/w.plan.Days)
	if len(w.clients) < due {
		w.clients = append(w.clients, w.newClient())
		return &w.clients[len(w.clients)-1]
	}
	u := w.rnd.Float64()
	return &w.clients[int(u*u*u*float64(len(w.clients)))]
}

// newClient installs a client. EUIDs are random, as streams of other products must not
// share any.
func (w *generator) newClient() client {
	platform := oneOf(w.rnd, "Windows", "Windows", "Windows", "macOS", "Linux")
	region := oneOf(w.rnd, "DE/de-DE", "US/en-US", "US/en-US", "FR/fr-FR", "JP/ja-JP", "CL/es-CL", "IN/en-IN")
	euid := int64(w.rnd.Uint64()>>2) + 1
	return client{
		euid: euid, user: fmt.Sprintf("u%d", euid), country: region[:2], locale: region[3:],
		platform: platform, osVersion: fmt.Sprint(10 + w.rnd.IntN(5)),
		edition:  oneOf(w.rnd, "community", "community", "professional", "enterprise"),
		license:  oneOf(w.rnd, "freeware", "freeware", "purchased", "unknown"),
		campaign: oneOf(w.rnd, "spring", "newsletter", "search", "friend"), lag: w.rnd.IntN(30),
	}
}

// session makes one session: its start, what happens in it, perhaps an
// exception, and its end. It stops early when the day has all its events.
func (w *generator) session(day int, c *client) {
	at := w.plan.Start.AddDate(0, 0, day).Add(time.Duration(w.rnd.IntN(20*3600)) * time.Second)
	first := at
	c.sessions++
	id := w.uuid()
	emit := func(name string, more map[string]any) {
		if w.remaining == 0 {
			return
		}
		w.remaining--
		properties := map[string]any{
			"$session_id": id, "$app_name": "portal", "$app_version": c.version(day), "$ui_locale": c.locale,
			"$client": c.properties(day),
		}
		if c.edition == "enterprise" {
			properties["$user"] = map[string]any{"id": c.user, "realm": []string{"internal"}, "groups": []string{c.country}}
		}
		maps.Copy(properties, more)
		w.items = append(w.items, Item{c.euid, name, at.UnixMilli(), w.uuid(), properties})
	}
	emit("session_start", nil)
	for range 1 + w.rnd.IntN(12) {
		at = at.Add(time.Duration(1+w.rnd.IntN(240_000)) * time.Millisecond)
		emit(w.action(c))
	}
	if w.rnd.IntN(40) == 0 {
		emit("exception", map[string]any{"$exception": map[string]any{
			"className":  oneOf(w.rnd, "TimeoutError", "TypeError", "OutOfMemory"),
			"methodName": "render", "message": fmt.Sprintf("page %d", w.rnd.IntN(50)), "stackTrace": "render\nlayout\nmain",
		}})
	}
	at = at.Add(time.Duration(1+w.rnd.IntN(60)) * time.Second)
	emit("session_stop", map[string]any{"$runtime": float64(at.Sub(first).Milliseconds()/500) / 2})
}

// action makes one thing a client does. Values are quarters, so that their sum
// is exact in any order.
func (w *generator) action(c *client) (string, map[string]any) {
	switch n := w.rnd.IntN(100); {
	case n < 55:
		return "view", map[string]any{"$category": oneOf(w.rnd, "docs", "docs", "blog", "pricing"), "page": w.rnd.IntN(200)}
	case n < 80:
		return "search", map[string]any{
			"$category": "docs", "terms": oneOf(w.rnd, "install", "api", "größe", "日本語", "a,\"b\""),
			"results": w.rnd.IntN(40), "facets": []string{c.locale, c.platform},
		}
	case n < 92:
		return "edit", map[string]any{"$category": oneOf(w.rnd, "text", "image"), "$value": w.rnd.IntN(50), "saved": w.rnd.IntN(2) == 0}
	case n < 97:
		return "download", map[string]any{"$value": 1 + w.rnd.IntN(5), "campaign": c.campaign}
	default:
		return "purchase", map[string]any{"$category": "shop", "$value": float64(4+w.rnd.IntN(4000)) / 4, "currency": "EUR"}
	}
}

// version returns the version a client runs on a day; there is a release every 30 days.
func (c *client) version(day int) string {
	release := max(0, day-c.lag) / 30
	return fmt.Sprintf("%d.%d.0", 1+release/10, release%10)
}

func (c *client) properties(day int) map[string]any {
	return map[string]any{
		"prodVersion": c.version(day), "prodEdition": c.edition, "prodLanguage": c.locale[:2], "licenseType": c.license,
		"os": map[string]any{"platform": c.platform, "version": c.osVersion}, "geography.country": c.country, "C01": c.campaign,
	}
}

func (w *generator) uuid() string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], w.rnd.Uint64())
	binary.BigEndian.PutUint64(b[8:], w.rnd.Uint64())
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func oneOf(rnd *rand.Rand, choices ...string) string { return choices[rnd.IntN(len(choices))] }
