#include "tools/render/sentence.h"
#include "tools/render/text_sections.h"
#include "tools/render/units.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

/* Where to read on. */
static void
print_images(const struct vmt_text_options *options)
{
	char text[VMT_LAYOUT_LINE_BYTES];
	struct vmt_sentence sentence = {text, sizeof(text), 0};

	if (!options->next_image || !*options->next_image)
		return;
	vmt_sentence_say(&sentence, "Continues (exec) in %s", options->next_image);
	if (options->last_image && strcmp(options->last_image, options->next_image) != 0)
		vmt_sentence_say(&sentence, ", finally in %s", options->last_image);
	vmt_layout_wrap(&options->layout, VMT_STYLE_DIM, text, 2);
}

/* By the reader's clock, as --at takes it. */
static const char *
moment_words(const struct vmt_report *report, const char *format, char *text, size_t text_bytes)
{
	time_t start = (time_t)(report->process.start_unix_ns / 1000000000u);
	struct tm local;

	if (report->process.start_unix_ns == 0 || !localtime_r(&start, &local) ||
	    strftime(text, text_bytes, format, &local) == 0)
		return "";
	return text;
}

const char *
vmt_text_titled(const struct vmt_layout *layout, const struct vmt_report *report, char *text,
		size_t text_bytes)
{
	char title[448];

	if (!report->process.title)
		return "";
	vmt_layout_shorten(layout, title, sizeof(title), report->process.title, 100);
	snprintf(text, text_bytes, ", calls itself \"%s\"", title);
	return text;
}

/* It was not stopped for it: how long it took is how far its parts may lie apart. */
static void
print_looked_at(const struct vmt_report *report, const struct vmt_text_options *options,
		const char *command)
{
	char duration[VMT_UNITS_BYTES];
	char text[VMT_LAYOUT_LINE_BYTES];
	char title[512];
	char when[64];
	struct vmt_sentence sentence = {text, sizeof(text), 0};

	vmt_sentence_say(&sentence, "%s (process %" PRIu32 "%s), %slooked at for %s while it ran.",
			 command, report->process.pid,
			 vmt_text_titled(&options->layout, report, title, sizeof(title)),
			 moment_words(report, "%F %T %z, ", when, sizeof(when)),
			 vmt_units_duration(duration, report->snapshot.duration_ns));
	vmt_layout_wrap(&options->layout, VMT_STYLE_DIM, text, 2);
}

/* What began at the time that the trace begins with. */
static const char *
begin_words(const struct vmt_report *report)
{
	if (report->process.is_watched)
		return "watched from %F %T %z, ";
	if (report->process.is_attached)
		return "recorded from %F %T %z, ";
	return "started %F %T %z, ";
}

void
vmt_text_process(const struct vmt_report *report, const struct vmt_text_options *options)
{
	char duration[VMT_UNITS_BYTES];
	char text[VMT_LAYOUT_LINE_BYTES];
	char end[256];
	char command[512];
	char title[512];
	char start[64];

	vmt_text_end(report, end, sizeof(end));
	vmt_layout_shorten(&options->layout, command, sizeof(command), vmt_report_command(report),
			   200);
	if (report->process.is_snapshot) {
		print_looked_at(report, options, command);
		return;
	}
	snprintf(text, sizeof(text), "%s (process %" PRIu32 "%s), %s%s, %s.", command,
		 report->process.pid,
		 vmt_text_titled(&options->layout, report, title, sizeof(title)),
		 moment_words(report, begin_words(report), start, sizeof(start)),
		 vmt_units_duration(duration, report->process.duration_ns), end);
	vmt_layout_wrap(&options->layout, VMT_STYLE_DIM, text, 2);
	print_images(options);
}
