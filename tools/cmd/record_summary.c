#include "tools/cmd/record_summary.h"

#include "format/codec.h"
#include "tools/cmd/show_page.h"
#include "tools/read/trace/oom_kills.h"
#include "tools/read/trace/process_end.h"
#include "tools/read/trace/rss_peak.h"
#include "tools/read/trace/trace.h"
#include "tools/render/units.h"
#include "tools/utf8.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What one trace says about itself. */
struct figures {
	uint64_t peak_rss_bytes;
	uint64_t lost;
	uint64_t thinned;
	const char *shortage; /* why its recording ended early, or NULL */
	bool oom;	      /* it was killed because its cgroup was out of memory ... */
	uint64_t limit_bytes; /* ... which may have so much; or VMT_FIGURE_UNKNOWN */
	bool readable;
};

void
vmt_record_summary_add(struct vmt_record_summary *recorded, const char *path)
{
	recorded->count++;
	if (recorded->kept == VMT_RECORD_SUMMARY_MAX)
		return;
	recorded->paths[recorded->kept] = strdup(path);
	if (recorded->paths[recorded->kept])
		recorded->kept++;
}

void
vmt_record_summary_remove(struct vmt_record_summary *recorded, const char *path)
{
	recorded->count--;
	for (uint32_t i = recorded->kept; i-- > 0;) {
		if (strcmp(recorded->paths[i], path) != 0)
			continue;
		free(recorded->paths[i]);
		recorded->paths[i] = recorded->paths[--recorded->kept];
		return;
	}
}

void
vmt_record_summary_free(struct vmt_record_summary *recorded)
{
	for (uint32_t i = 0; i < recorded->kept; i++)
		free(recorded->paths[i]);
	recorded->kept = 0;
}

/* What the readings of one trace tell. */
struct readings {
	struct vmt_rss_peak peak;
	struct vmt_oom_kills kills;
	uint64_t limit_bytes;
};

static void
add_usage(struct readings *readings, const struct vmt_usage *usage)
{
	vmt_rss_peak_add(&readings->peak, usage->time, usage->rss_bytes, usage->peak_rss_bytes);
	if (usage->cgroup_limit_bytes != VMT_FIGURE_UNKNOWN)
		readings->limit_bytes = usage->cgroup_limit_bytes;
	vmt_oom_kills_add(&readings->kills, usage->cgroup_oom_kills);
}

static void
add_chunk(struct readings *readings, struct vmt_trace *trace, const struct vmt_trace_chunk *chunk)
{
	struct vmt_snapshot_head head;
	struct vmt_usage usage;
	const unsigned char *bytes;
	size_t length;
	struct vmt_err err = {""};

	if (chunk->header.kind != VMT_CHUNK_USAGE && chunk->header.kind != VMT_CHUNK_SNAPSHOT)
		return;
	if (vmt_trace_payload(trace, chunk, &bytes, &length, &err) < 0)
		return;
	if (chunk->header.kind == VMT_CHUNK_SNAPSHOT) {
		if (vmt_codec_get_snapshot_head(&chunk->header, bytes, length, &head) != 0)
			vmt_rss_peak_add(&readings->peak, head.time, head.resident_bytes,
					 head.peak_rss_bytes);
		return;
	}
	for (size_t at = 0, step; at < length; at += step) {
		step = vmt_codec_get_usage(&chunk->header, bytes + at, length - at, &usage);
		if (step == 0)
			break;
		add_usage(readings, &usage);
	}
}

/* What the kernel told who waited for the process is of programs before an exec as well. */
static void
add_end(struct readings *readings, struct vmt_trace *trace)
{
	const struct vmt_chunk_end *end = vmt_trace_end_chunk(trace);
	uint64_t at_start = readings->peak.at_start_bytes;

	if (end && at_start != 0 && end->peak_rss_bytes > at_start)
		vmt_rss_peak_add(&readings->peak, end->time, VMT_FIGURE_UNKNOWN,
				 end->peak_rss_bytes);
}

static struct readings
read_readings(struct vmt_trace *trace)
{
	struct readings readings = {.peak.at_start_bytes =
					vmt_trace_head(trace)->start_peak_rss_bytes,
				    .limit_bytes = VMT_FIGURE_UNKNOWN};
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(trace, &count);

	for (size_t i = 0; i < count; i++)
		add_chunk(&readings, trace, &chunks[i]);
	add_end(&readings, trace);
	return readings;
}

uint64_t
vmt_record_summary_peak(struct vmt_trace *trace)
{
	struct readings readings = read_readings(trace);

	return vmt_rss_peak_bytes(&readings.peak);
}

static bool
is_oom(struct vmt_trace *trace, const struct readings *readings)
{
	int status;
	const char *end = vmt_trace_end(trace, &status);

	return vmt_oom_kills_ended(&readings->kills, end, status);
}

static struct figures
read_figures(const char *path)
{
	struct figures figures = {0};
	const struct vmt_trace_loss *loss;
	struct vmt_trace *trace;
	struct readings readings;
	struct vmt_err err = {""};

	if (vmt_trace_open_without_stacks(&trace, path, &err) < 0)
		return figures;
	figures.readable = true;
	readings = read_readings(trace);
	figures.peak_rss_bytes = vmt_rss_peak_bytes(&readings.peak);
	figures.oom = is_oom(trace, &readings);
	figures.limit_bytes = readings.limit_bytes;
	if (vmt_process_end_is_short(vmt_trace_head(trace)))
		figures.shortage = vmt_process_end_shortage(vmt_trace_head(trace)->end_status);
	loss = vmt_trace_loss(trace);
	figures.thinned = loss->events_thinned;
	figures.lost = loss->events_dropped + loss->events_overwritten + loss->slots_abandoned;
	vmt_trace_close(trace);
	return figures;
}

const char *
vmt_record_summary_short_path(const char *path)
{
	char here[4096];
	size_t length;

	if (!getcwd(here, sizeof(here)))
		return path;
	length = strlen(here);
	if (strncmp(path, here, length) != 0 || (path[length] != '/' && path[length] != '\0'))
		return path;
	return path[length] ? path + length + 1 : ".";
}

/* A byte for the inside of $'...'. */
static void
print_escaped(unsigned char byte, FILE *out)
{
	if (byte == '\'' || byte == '\\')
		fprintf(out, "\\%c", byte);
	else
		fprintf(out, "\\%03o", byte);
}

/* Within quotes; what a terminal would obey is written out, as bash, ksh and zsh read it. */
static void
print_quoted(const char *word, FILE *out)
{
	fputs("$'", out);
	while (*word) {
		uint32_t code;
		size_t length = vmt_utf8_decode(word, strnlen(word, 4), &code);
		bool as_it_is =
		    length && !vmt_utf8_is_harmful(code) && code != '\'' && code != '\\';

		length = length ? length : 1;
		if (as_it_is)
			fwrite(word, length, 1, out);
		for (size_t i = 0; !as_it_is && i < length; i++)
			print_escaped((unsigned char)word[i], out);
		word += length;
	}
	fputc('\'', out);
}

static bool
is_harmless(const char *word)
{
	while (*word) {
		uint32_t code;
		size_t length = vmt_utf8_decode(word, strnlen(word, 4), &code);

		if (length == 0 || vmt_utf8_is_harmful(code))
			return false;
		word += length;
	}
	return true;
}

/* For a shell: quoted where a plain word would not do. */
void
vmt_record_summary_print_word(const char *word, FILE *out)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789/._-+,:@%=";

	if (*word && word[strspn(word, plain)] == '\0')
		fprintf(out, "%s%s", *word == '-' ? "./" : "", word);
	else if (strchr(word, '\'') || !is_harmless(word))
		print_quoted(word, out);
	else
		fprintf(out, "'%s'", word);
}

static void
print_sentence(const struct vmt_record_summary *recorded, const struct figures *best, uint64_t lost,
	       uint64_t duration_ns, FILE *out)
{
	char peak[VMT_UNITS_BYTES];
	char duration[VMT_UNITS_BYTES];
	char count[VMT_UNITS_BYTES];

	fprintf(out, "vmtrace: ");
	if (best->peak_rss_bytes)
		fprintf(out, "peak RSS %s in %s; ", vmt_units_bytes(peak, best->peak_rss_bytes),
			vmt_units_duration(duration, duration_ns));
	else
		fprintf(out, "ran %s; ", vmt_units_duration(duration, duration_ns));
	fprintf(out, "%s trace%s written", vmt_units_count(count, recorded->count),
		recorded->count == 1 ? "" : "s");
	if (recorded->dropped)
		fprintf(out, ", %s removed as small or empty",
			vmt_units_count(count, recorded->dropped));
	if (lost)
		fprintf(out, "; %s events lost, the report says which",
			vmt_units_count(count, lost));
	if (!best->readable)
		fprintf(out, "; it can't be read");
	fprintf(out, "\n");
}

static void
print_thinned(uint64_t thinned, FILE *out)
{
	char count[VMT_UNITS_BYTES];

	if (thinned)
		fprintf(out,
			"vmtrace: %s events left out to stay within --max-size: the report says "
			"what that costs\n",
			vmt_units_count(count, thinned));
}

static void
print_shortage(const char *path, const char *shortage, FILE *out)
{
	fprintf(out, "vmtrace: the recording in ");
	vmt_record_summary_print_word(vmt_record_summary_short_path(path), out);
	fprintf(out,
		" ended before the program did: the program ran out of %s, and vmtrace released "
		"its own\n",
		shortage);
}

static void
print_kill(const char *path, const struct figures *figures, FILE *out)
{
	char limit[VMT_UNITS_BYTES];

	fprintf(out, "vmtrace: the process in ");
	vmt_record_summary_print_word(vmt_record_summary_short_path(path), out);
	fprintf(out, " was killed by the OOM killer");
	if (figures->limit_bytes != VMT_FIGURE_UNKNOWN)
		fprintf(out, ": its cgroup had reached its limit of %s",
			vmt_units_bytes(limit, figures->limit_bytes));
	fprintf(out, "\n");
}

static void
print_next(const char *trace, FILE *out)
{
	char page[PATH_MAX];

	fprintf(out, "vmtrace: next: vmtrace report ");
	vmt_record_summary_print_word(vmt_record_summary_short_path(trace), out);
	fprintf(out, "\nvmtrace: as a page: vmtrace report ");
	vmt_record_summary_print_word(vmt_record_summary_short_path(trace), out);
	fprintf(out, " --format html -o ");
	vmt_record_summary_print_word(
	    vmt_show_page_name(vmt_record_summary_short_path(trace), page, sizeof(page)), out);
	fprintf(out, "\n");
}

const char *
vmt_record_summary_print(const struct vmt_record_summary *recorded, uint64_t duration_ns, FILE *out)
{
	struct figures best = {0};
	uint64_t thinned = 0;
	uint64_t lost = 0;
	uint32_t chosen = 0;

	assert(recorded->kept > 0);
	for (uint32_t i = 0; i < recorded->kept; i++) {
		struct figures figures = read_figures(recorded->paths[i]);

		lost += figures.lost;
		thinned += figures.thinned;
		if (figures.shortage)
			print_shortage(recorded->paths[i], figures.shortage, out);
		if (figures.oom)
			print_kill(recorded->paths[i], &figures, out);
		if (figures.readable &&
		    (!best.readable || figures.peak_rss_bytes > best.peak_rss_bytes)) {
			best = figures;
			chosen = i;
		}
	}
	print_sentence(recorded, &best, lost, duration_ns, out);
	print_thinned(thinned, out);
	print_next(recorded->paths[chosen], out);
	return recorded->paths[chosen];
}
