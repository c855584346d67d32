package main

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// setting is one field of a struct of settings. Its tags key, default, help,
// only, zero and free describe it once for the YAML file, the variables, the
// flags, the example file and --help. Every command parses its flags with this.
type setting struct {
	key     string // a.b_c
	help    string
	def     string
	allowed []string // values it may have; nil means any
	zero    bool     // a number that may be 0 although its default is not
	free    bool     // free text: as a flag it takes the next argument even if that begins with --
	field   reflect.Value
}

// section is a struct of settings.
type section struct {
	key  string
	help string
}

// flag and variable return the other two spellings of the key.
func (s setting) flag() string { return "--" + strings.ReplaceAll(s.key, "_", "-") }

func (s setting) variable() string {
	return "WEIR_" + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

// listSettings returns the settings of the struct to which target points, in the
// order of its fields, and the sections that contain them.
func listSettings(target any) (settings []setting, sections []section) {
	return walkSettings(reflect.ValueOf(target).Elem(), "")
}

// walkSettings visits nested structs as sections whose key is the prefix of their
// settings. Fields must be exported, or reflection could not set them.
func walkSettings(v reflect.Value, prefix string) (settings []setting, sections []section) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		key := prefix + f.Tag.Get("key")
		if f.Type.Kind() == reflect.Struct {
			inner, deeper := walkSettings(v.Field(i), key+".")
			settings = append(settings, inner...)
			sections = append(append(sections, section{key, f.Tag.Get("help")}), deeper...)
			continue
		}
		s := setting{
			key: key, help: f.Tag.Get("help"), def: f.Tag.Get("default"),
			free: f.Tag.Get("free") != "", zero: f.Tag.Get("zero") != "", field: v.Field(i),
		}
		if only := f.Tag.Get("only"); only != "" {
			s.allowed = strings.Split(only, ",")
		}
		settings = append(settings, s)
	}
	return settings, sections
}

// bytesize is a number of bytes, written with a unit as in 16MiB.
type bytesize int64

// set parses text into the field.
func (s setting) set(text string) error {
	if len(s.allowed) > 0 && !slices.Contains(s.allowed, text) {
		return fmt.Errorf("%q is none of %s", text, strings.Join(s.allowed, ", "))
	}
	switch field := s.field.Addr().Interface().(type) {
	case *string:
		*field = text
	case *[]string:
		*field = splitList(text)
	case *bool:
		return parseInto(field, text, "true or false", strconv.ParseBool)
	case *int:
		return parseInto(field, text, "a number", strconv.Atoi)
	case *int64:
		return parseInto(field, text, "a number", parseInt64)
	case *productIDs:
		id, err := parseProduct(text)
		*field = append(*field, id)
		return err
	case *float64:
		return parseInto(field, text, "a number", parseFloat)
	case *time.Duration:
		return parseInto(field, text, `a time like "90s", "5m" or "24h"`, parseDuration)
	case *bytesize:
		return parseInto(field, text, `a size like "500", "64KiB", "16MiB" or "2GiB"`, parseBytes)
	default:
		return fmt.Errorf("no way to read a %T", field)
	}
	return nil
}

// number returns the value of a whole number, a size or a time.
func (s setting) number() (n int64, isNumber bool) {
	if !s.field.CanInt() {
		return 0, false
	}
	return s.field.Int(), true
}

// parseInto sets field to the parsed text. The error names the expected form, not
// the internals of the parser.
func parseInto[T any](field *T, text, want string, parse func(string) (T, error)) error {
	value, err := parse(text)
	if err != nil {
		return fmt.Errorf("%q is not %s", text, want)
	}
	*field = value
	return nil
}

// parseInt64 accepts the prefixes 0x, 0o and 0b too.
func parseInt64(text string) (int64, error) { return strconv.ParseInt(text, 0, 64) }

// parseFloat refuses NaN and infinities: comparisons with a limit would be false.
func parseFloat(text string) (float64, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err == nil && (math.IsNaN(f) || math.IsInf(f, 0)) {
		err = strconv.ErrRange
	}
	return f, err
}

// parseDuration refuses negative times, which no setting has a meaning for.
func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err == nil && d < 0 {
		err = strconv.ErrRange
	}
	return d, err
}

// parseBytes accepts binary units only. KB is an error because some read it as
// 1000 and others as 1024 bytes.
func parseBytes(text string) (bytesize, error) {
	digits, unit := text, int64(1)
	for _, u := range []struct {
		suffix string
		bytes  int64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"B", 1}} {
		if rest, ok := strings.CutSuffix(text, u.suffix); ok {
			digits, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err == nil && (n < 0 || n > math.MaxInt64/unit) {
		err = strconv.ErrRange
	}
	return bytesize(n * unit), err
}

// splitList splits at commas and drops empty items.
func splitList(text string) []string {
	list := []string{} // not nil: the setting is given and empty
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

// setDefaults sets every field to the default of its tag.
func setDefaults(settings []setting) error {
	var errs []error
	for _, s := range settings {
		if s.def == "" {
			continue
		}
		if err := s.set(s.def); err != nil {
			errs = append(errs, fmt.Errorf("default of %s: %w", s.key, err))
		}
	}
	return errors.Join(errs...)
}

// parseFlags parses flags into settings, wherever they stand among the arguments.
// It returns the other arguments and the names of the flags it found, without
// dashes. It reports all mistakes at once.
func parseFlags(args []string, settings []setting) (rest, given []string, err error) {
	var errs []error
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			return append(rest, args...), given, errors.Join(errs...)
		}
		if !strings.HasPrefix(arg, "-") || arg == "-" {
			rest = append(rest, arg)
			continue
		}
		// -flag and --flag are the same, as in package flag.
		name, text, hasValue := strings.Cut("--"+strings.TrimLeft(arg, "-"), "=")
		s, err := findSetting(settings, name, setting.flag)
		if err != nil {
			errs = append(errs, fmt.Errorf("unknown flag %w", err))
			if !hasValue && len(args) > 0 && !strings.HasPrefix(args[0], "-") {
				args = args[1:] // most likely its value
			}
			continue
		}
		if !hasValue {
			var ok bool
			if text, args, ok = s.takeValue(args); !ok {
				errs = append(errs, fmt.Errorf("flag %s needs a value", name))
				continue
			}
		}
		if err := s.set(text); err != nil {
			errs = append(errs, fmt.Errorf("flag %s: %w", name, err))
		}
		given = append(given, strings.TrimPrefix(name, "--"))
	}
	return rest, given, errors.Join(errs...)
}

// takeValue returns the value of a flag that was given without "=", and the
// arguments after it. A switch takes no argument. ok is false when the value is
// missing: the next argument is a flag, or there is none.
func (s setting) takeValue(args []string) (text string, rest []string, ok bool) {
	if s.field.Kind() == reflect.Bool {
		return "true", args, true
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "--") && !s.free {
		return "", args, false
	}
	return args[0], args[1:], true
}

// ofKubernetes matches what Kubernetes adds to the names of a service's variables.
var ofKubernetes = regexp.MustCompile(`_(PORT|SERVICE_HOST|SERVICE_PORT)(_|$)`)

// parseEnviron parses environment variables into settings. A name that is almost
// that of a setting is an error. Others that begin with WEIR_ are ignored:
// Kubernetes sets many for a service of that name.
func parseEnviron(environ []string, settings []setting) error {
	var errs []error
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		if text == "" {
			continue // many tools express "not set" by an empty variable
		}
		i := slices.IndexFunc(settings, func(s setting) bool { return s.variable() == name })
		if i < 0 {
			near := nearest(settings, name, setting.variable)
			if strings.HasPrefix(name, "WEIR_") && near != "" && !ofKubernetes.MatchString(name) {
				errs = append(errs, fmt.Errorf("unknown variable %s, do you mean %s?", name, near))
			}
			continue
		}
		if err := settings[i].set(text); err != nil {
			errs = append(errs, fmt.Errorf("variable %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// parseYAML parses a YAML file into settings and reports every key that is
// unknown, repeated or invalid, with its line.
func parseYAML(text []byte, settings []setting) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return err
	}
	if len(doc.Content) == 0 {
		return nil // an empty file
	}
	return parseNode(doc.Content[0], "", settings)
}

// parseNode parses one YAML mapping. Repeated keys are detected here because the
// library accepts them when it decodes into nodes.
func parseNode(node *yaml.Node, prefix string, settings []setting) error {
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: %s is a section: settings belong under it", node.Line, strings.TrimSuffix(prefix, "."))
	}
	var errs []error
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := node.Content[i], node.Content[i+1]
		key := prefix + name.Value
		at := func(err error) { errs = append(errs, fmt.Errorf("line %d: %w", name.Line, err)) }
		if seen[key] {
			at(fmt.Errorf("%s is set twice", key))
			continue
		}
		seen[key] = true
		if slices.ContainsFunc(settings, func(s setting) bool { return strings.HasPrefix(s.key, key+".") }) {
			if value.Tag != "!!null" {
				errs = append(errs, parseNode(value, key+".", settings))
			}
			continue
		}
		s, err := findSetting(settings, key, func(s setting) string { return s.key })
		if err != nil {
			at(fmt.Errorf("unknown setting %w", err))
			continue
		}
		if err := s.setNode(value); err != nil {
			at(fmt.Errorf("%s: %w", key, err))
		}
	}
	return errors.Join(errs...)
}

// setNode sets the field to a scalar, or to a sequence of scalars for a list.
func (s setting) setNode(value *yaml.Node) error {
	switch {
	case value.Tag == "!!null":
		return nil // the same as absent
	case value.Kind == yaml.ScalarNode:
		return s.set(value.Value)
	case value.Kind == yaml.SequenceNode && s.field.Type() == reflect.TypeFor[[]string]():
		list := []string{}
		for _, item := range value.Content {
			if item.Kind != yaml.ScalarNode {
				return errors.New("every item must be a plain value")
			}
			list = append(list, item.Value)
		}
		s.field.Set(reflect.ValueOf(list))
		return nil
	}
	return errors.New("must be a plain value")
}

// findSetting returns the setting whose spelling is name. Its error suggests the
// most similar spelling.
func findSetting(settings []setting, name string, spelling func(setting) string) (setting, error) {
	for _, s := range settings {
		if spelling(s) == name {
			return s, nil
		}
	}
	if best := nearest(settings, name, spelling); best != "" {
		return setting{}, fmt.Errorf("%q, do you mean %q?", name, best)
	}
	return setting{}, fmt.Errorf("%q", name)
}

// nearest returns the most similar spelling of a setting, or "" if none is similar.
func nearest(settings []setting, name string, spelling func(setting) string) string {
	best, distance := "", 4
	for _, s := range settings {
		if d := editDistance(spelling(s), name); d < distance {
			best, distance = spelling(s), d
		}
	}
	return best
}

// editDistance returns the Levenshtein distance of a and b in bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// choices returns the allowed values for the help text, or "".
func (s setting) choices() string {
	if len(s.allowed) == 0 {
		return ""
	}
	return " (" + strings.Join(s.allowed, ", ") + ")"
}

// yamlDefault returns the default as YAML. Strings are quoted, or a value like
// none or 0 would get another type.
func (s setting) yamlDefault() string {
	switch s.field.Interface().(type) {
	case []string:
		return "[" + s.def + "]"
	case string:
		return fmt.Sprintf("%q", s.def)
	}
	return s.def
}
