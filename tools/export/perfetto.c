#include "tools/export/perfetto.h"

#include "tools/export/clean_text.h"
#include "tools/export/protobuf.h"
#include "tools/render/headline.h"
#include "tools/render/text_sections.h"
#include "tools/render/units.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* Field numbers of trace_packet.proto, track_descriptor.proto, counter_descriptor.proto,
 * process_descriptor.proto and track_event.proto. */
enum { TRACE_PACKET = 1 };
enum { PACKET_TIME = 8, PACKET_SEQUENCE = 10, PACKET_EVENT = 11, PACKET_TRACK = 60 };
enum { TRACK_UUID = 1, TRACK_NAME = 2, TRACK_PROCESS = 3, TRACK_PARENT = 5, TRACK_COUNTER = 8 };
enum { PROCESS_PID = 1, PROCESS_NAME = 6 };
enum { COUNTER_UNIT = 3, UNIT_SIZE_BYTES = 3 };
enum { EVENT_TYPE = 9, EVENT_TRACK = 11, EVENT_NAME = 23, EVENT_COUNTER_VALUE = 30 };
enum { TYPE_INSTANT = 3, TYPE_COUNTER = 4 };

#define SEQUENCE 1u /* there is one writer */
#define PROCESS_TRACK 1u
#define RSS_TRACK 2u
#define CLASS_TRACKS                                                                               \
	16u /* what a class has in RAM: this and its number; reserved: after all of these */

/* The file under construction, and the messages in hand, from the inside out. */
struct writer {
	struct vmt_protobuf trace;
	struct vmt_protobuf packet;
	struct vmt_protobuf inner;
	struct vmt_protobuf innermost;
};

static void
put_packet(struct writer *writer)
{
	vmt_protobuf_varint(&writer->packet, PACKET_SEQUENCE, SEQUENCE);
	vmt_protobuf_message(&writer->trace, TRACE_PACKET, &writer->packet);
}

static void
put_process(struct writer *writer, const struct vmt_report *report)
{
	char name[VMT_CLEAN_TEXT_BYTES];

	vmt_protobuf_varint(&writer->inner, TRACK_UUID, PROCESS_TRACK);
	vmt_protobuf_varint(&writer->innermost, PROCESS_PID, report->process.pid & INT32_MAX);
	vmt_protobuf_string(&writer->innermost, PROCESS_NAME,
			    vmt_clean_text_copy(name, vmt_report_command(report), ""));
	vmt_protobuf_message(&writer->inner, TRACK_PROCESS, &writer->innermost);
	vmt_protobuf_message(&writer->packet, PACKET_TRACK, &writer->inner);
	put_packet(writer);
}

static void
put_counter_track(struct writer *writer, uint64_t uuid, const char *name)
{
	vmt_protobuf_varint(&writer->inner, TRACK_UUID, uuid);
	vmt_protobuf_varint(&writer->inner, TRACK_PARENT, PROCESS_TRACK);
	vmt_protobuf_string(&writer->inner, TRACK_NAME, name);
	vmt_protobuf_varint(&writer->innermost, COUNTER_UNIT, UNIT_SIZE_BYTES);
	vmt_protobuf_message(&writer->inner, TRACK_COUNTER, &writer->innermost);
	vmt_protobuf_message(&writer->packet, PACKET_TRACK, &writer->inner);
	put_packet(writer);
}

static void
put_time(struct writer *writer, int64_t time_ns)
{
	vmt_protobuf_varint(&writer->packet, PACKET_TIME, time_ns > 0 ? (uint64_t)time_ns : 0);
}

static void
put_value(struct writer *writer, uint64_t uuid, int64_t time_ns, uint64_t bytes)
{
	put_time(writer, time_ns);
	vmt_protobuf_varint(&writer->inner, EVENT_TYPE, TYPE_COUNTER);
	vmt_protobuf_varint(&writer->inner, EVENT_TRACK, uuid);
	vmt_protobuf_varint(&writer->inner, EVENT_COUNTER_VALUE,
			    bytes < INT64_MAX ? bytes : INT64_MAX);
	vmt_protobuf_message(&writer->packet, PACKET_EVENT, &writer->inner);
	put_packet(writer);
}

static void
put_instant(struct writer *writer, int64_t time_ns, const char *text)
{
	char name[VMT_CLEAN_TEXT_BYTES];

	put_time(writer, time_ns);
	vmt_protobuf_varint(&writer->inner, EVENT_TYPE, TYPE_INSTANT);
	vmt_protobuf_varint(&writer->inner, EVENT_TRACK, PROCESS_TRACK);
	vmt_protobuf_string(&writer->inner, EVENT_NAME, vmt_clean_text_copy(name, text, ""));
	vmt_protobuf_message(&writer->packet, PACKET_EVENT, &writer->inner);
	put_packet(writer);
}

static void
put_rss(struct writer *writer, const struct vmt_report *report)
{
	put_counter_track(writer, RSS_TRACK, "RSS");
	for (size_t i = 0; i < report->rss_count; i++)
		put_value(writer, RSS_TRACK, report->rss[i].time_ns, report->rss[i].rss_bytes);
}

/* One figure of a class over time. */
static uint64_t
class_bytes(const struct vmt_history_point *point, int class, bool reserved)
{
	return reserved ? point->classes[class].reserved_bytes
			: point->classes[class].committed_bytes;
}

static void
put_class(struct writer *writer, const struct vmt_history *history, int class, bool reserved)
{
	uint64_t uuid = CLASS_TRACKS + (uint64_t) class + (reserved ? VMT_CLASSES : 0);
	char name[128];
	size_t first = 0;

	while (first < history->point_count &&
	       class_bytes(&history->points[first], class, reserved) == 0)
		first++;
	if (first == history->point_count)
		return;
	snprintf(name, sizeof(name), "%s: %s", reserved ? "reserved" : "in RAM",
		 vmt_classes_name((enum vmt_class_id) class));
	put_counter_track(writer, uuid, name);
	for (size_t i = 0; i < history->point_count; i++)
		put_value(writer, uuid, history->points[i].time_ns,
			  class_bytes(&history->points[i], class, reserved));
}

static void
put_classes(struct writer *writer, const struct vmt_history *history)
{
	for (int class = 0; class < VMT_CLASSES; class ++)
		put_class(writer, history, class, false);
	for (int class = 0; class < VMT_CLASSES; class ++)
		put_class(writer, history, class, true);
}

static void
put_marks(struct writer *writer, const struct vmt_report *report)
{
	struct vmt_rss_point peak = vmt_report_seen_peak(report);
	char size[VMT_UNITS_BYTES];
	char words[512];
	char text[VMT_CLEAN_TEXT_BYTES];

	vmt_headline_losses(report, text, sizeof(text));
	if (*text)
		put_instant(writer, 0, text);
	if (report->peak.is_missed)
		peak = (struct vmt_rss_point){report->peak.by_ns, report->peak.counted_bytes};
	snprintf(text, sizeof(text), "%s %s",
		 report->peak.is_missed ? "peak RSS by the kernel's count, a moment before:"
					: "peak RSS",
		 vmt_units_bytes(size, peak.rss_bytes));
	put_instant(writer, peak.time_ns, text);
	if (report->snapshot.taken) {
		vmt_headline_write(report, text, sizeof(text));
		put_instant(writer, report->snapshot.time_ns, text);
	}
	vmt_text_end(report, words, sizeof(words));
	put_instant(writer, vmt_report_end_ns(report), words);
}

int
vmt_perfetto_write(const struct vmt_report *report, FILE *out, struct vmt_err *err)
{
	struct writer writer = {.trace = {0}};
	bool failed;

	put_process(&writer, report);
	put_rss(&writer, report);
	put_classes(&writer, &report->history);
	put_marks(&writer, report);
	failed = writer.trace.failed;
	if (!failed)
		fwrite(writer.trace.bytes, writer.trace.length, 1, out);
	vmt_protobuf_free(&writer.trace);
	vmt_protobuf_free(&writer.packet);
	vmt_protobuf_free(&writer.inner);
	vmt_protobuf_free(&writer.innermost);
	return failed ? vmt_err_set(err, ENOMEM, "not enough memory to write the trace") : 0;
}
