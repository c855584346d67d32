package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"
)

// questionsAttacks are questions that cost much.
func questionsAttacks() []attack {
	return []attack{
		{
			name: "levels that multiply", who: "one account", what: "asks for three levels of 150 and 400 segments, and 1,000 segments by day for ten years, 32 at a time",
			run: func(ctx context.Context, t *target) error { return costlyQuestions(ctx, t, multiplyingQuestions()) },
		},
		{
			name: "regular expressions", who: "one account", what: "asks with (?:x?){1000} ten times over, and with the largest that pass, over texts of 8 KB, 32 at a time",
			run: hostilePatterns,
		},
		{
			name: "event names", who: "one account", what: "sends 60,000 event names, and asks for all of them",
			run: eventNames,
		},
	}
}

// object is a JSON object.
type object = map[string]any

// costlyQuestion is a question of the Reporting API.
type costlyQuestion struct {
	path string
	body object
}

// segmentsOf returns n segments that every value matches, so that each client is
// in all of them.
func segmentsOf(n int) []object {
	out := make([]object, n)
	for i := range out {
		out[i] = object{"type": "regex", "value": ".*", "includeNull": true, "segmentLabel": fmt.Sprint("s", i)}
	}
	return out
}

// levelsOf returns levels that have n segments each.
func levelsOf(levels, n int) object {
	out := object{}
	for i := range levels {
		out[fmt.Sprint("level", i+1)] = object{"property": "prodVersion", "segments": segmentsOf(n)}
	}
	return out
}

func multiplyingQuestions() []costlyQuestion {
	const path = "generic/dateRange"
	body := object{"startDate": "NOW-3699", "stopDate": "NOW", "clientStatus": []string{"new", "active"}}
	with := func(more object) costlyQuestion {
		q := costlyQuestion{path: path, body: object{}}
		for _, from := range []object{body, more} {
			maps.Copy(q.body, from)
		}
		return q
	}
	return []costlyQuestion{
		with(object{"levels": levelsOf(3, 150)}),
		with(object{"levels": levelsOf(3, 400)}),
		with(object{"levels": levelsOf(1, 1000), "dateSplit": "day"}),
		with(object{"levels": levelsOf(3, 20)}), // passes
		with(object{"levels": object{"level1": object{"property": "prodVersion", "segments": []object{{"type": "regex", "value": ".*", "split": true}}}}, "dateSplit": "day"}),
	}
}

// costlyQuestions asks some questions in turn, many at a time, and leaves half of
// the answers unread.
func costlyQuestions(ctx context.Context, t *target, questions []costlyQuestion) error {
	const connections, requests = 32, 200
	c, acc := t.client(connections), t.World.Attacker
	if err := t.loginAttacker(ctx, c); err != nil {
		return err
	}
	workers(connections, func(i int) {
		n := i
		repeat(ctx, requests, func() error {
			q := questions[n%len(questions)]
			n++
			text, err := json.Marshal(q.body)
			if err != nil {
				return err
			}
			asked, stop := ctx, context.CancelFunc(func() {})
			if n%2 == 0 {
				asked, stop = context.WithTimeout(ctx, time.Second) // the client leaves
			}
			defer stop()
			_, _, err = t.do(c, newRequest(asked, http.MethodPost, t.World.URL+"/v3/reporting/"+q.path+"/"+acc.Product, text), 8<<20)
			if asked.Err() != nil && ctx.Err() == nil {
				err = nil
			}
			return err
		})
	})
	return nil
}

// hostilePatterns sends texts of 8 KB, and matches them.
func hostilePatterns(ctx context.Context, t *target) error {
	const texts, length = 400, 8000
	c, acc := t.client(4), t.World.Attacker
	for sent := 0; sent < texts && ctx.Err() == nil; sent += 50 {
		body := batchOf(50, func(i int) item {
			text := fmt.Sprint(sent+i) + strings.Repeat("x", length)
			return item{
				EUID: attackedClient + int64(sent+i), Name: "view", Time: time.Now().UnixMilli(), RandomID: randomID(),
				Properties: map[string]any{"$client": map[string]string{"prodVersion": text}},
			}
		})
		if _, _, err := t.do(c, acc.report(ctx, t.World.URL, body), 1<<20); err != nil {
			return err
		}
	}
	question := func(pattern string, times int) costlyQuestion {
		segments := make([]object, times)
		for i := range segments {
			segments[i] = object{"type": "regex", "value": pattern, "segmentLabel": fmt.Sprint("s", i)}
		}
		return costlyQuestion{"generic/current", object{
			"clientStatus": []string{"active"}, "levels": object{"level1": object{"property": "prodVersion", "segments": segments}},
		}}
	}
	return costlyQuestions(ctx, t, []costlyQuestion{
		question(`(?:x?){1000}`, 10), question(strings.Repeat(`(?:x?){1000}`, 100), 10),
		question(`(?:x?y?){160}z`, 10), question(`(x+x+)+y`, 100), question(`.*.*.*.*.*z`, 100), // pass
	})
}

// eventNames sends names without end, and asks for the lists of events.
func eventNames(ctx context.Context, t *target) error {
	const names, events = 60_000, 1000
	c, acc := t.client(4), t.World.Attacker
	for sent := 0; sent < names && ctx.Err() == nil; sent += events {
		body := batchOf(events, func(i int) item {
			return item{EUID: attackedClient, Name: fmt.Sprintf("%s-%d", strings.Repeat("n", 200), sent+i), Time: time.Now().UnixMilli(), RandomID: randomID()}
		})
		if _, _, err := t.do(c, acc.report(ctx, t.World.URL, body), 1<<20); err != nil {
			return err
		}
	}
	day := object{"startDate": "NOW-1", "stopDate": "NOW"}
	return costlyQuestions(ctx, t, []costlyQuestion{
		{"eventTracking/basic/dataTable", day},
		{"eventTracking/lifetime/dataTable", day},
		{"clientPropertyList", object{"properties": []string{"lifetimeEventUsage"}}},
	})
}
