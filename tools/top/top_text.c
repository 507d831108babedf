#include "tools/top/top_text.h"

#include "tools/render/sentence.h"
#include "tools/render/units.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct writer {
	const struct vmt_top_table *table;
	const struct vmt_top_look *look;
	const struct vmt_layout *layout;
	vmt_top_text_put *put;
	void *context;
	size_t lines;
};

/* A line that is cut in its middle where it is too wide. */
static void
write_line(struct writer *writer, enum vmt_layout_style style, const char *text)
{
	char clean[VMT_LAYOUT_LINE_BYTES];

	if (writer->look->height && writer->lines >= writer->look->height)
		return;
	vmt_layout_shorten(writer->layout, clean, sizeof(clean), text, writer->layout->columns);
	writer->put(writer->context, style, clean);
	writer->lines++;
}

/* "+1.5 MiB", "-4 KiB", "0 B". */
static const char *
change(char *text, size_t bytes, int64_t by)
{
	char size[VMT_UNITS_BYTES];
	uint64_t amount = by < 0 ? 0 - (uint64_t)by : (uint64_t)by;

	snprintf(text, bytes, "%s%s",
		 by < 0	  ? "-"
		 : by > 0 ? "+"
			  : "",
		 vmt_units_bytes(size, amount));
	return text;
}

static const char *
duration(char text[VMT_UNITS_BYTES], int64_t ns)
{
	return vmt_units_duration(text, ns > 0 ? (uint64_t)ns : 0);
}

static void
say_growth(struct vmt_sentence *line, const struct vmt_top_table *table)
{
	char text[32];
	char over[VMT_UNITS_BYTES];
	int64_t growth, over_ns, rate;

	if (!vmt_top_table_growth(table, &growth, &over_ns))
		return;
	vmt_sentence_say(line, "; %s in %s since opened", change(text, sizeof(text), growth),
			 duration(over, over_ns));
	if (vmt_top_table_rate(table, &rate))
		vmt_sentence_say(line, ", last %s/s", change(text, sizeof(text), rate));
}

static void
write_rss(struct writer *writer)
{
	const struct vmt_top_reading *now = &writer->table->now;
	char text[VMT_LAYOUT_LINE_BYTES];
	struct vmt_sentence line = {text, sizeof(text), 0};
	char bytes[VMT_UNITS_BYTES];
	char other[VMT_UNITS_BYTES];
	char percent[VMT_UNITS_RATIO_BYTES];

	text[0] = '\0';
	if (!now->has_snapshot) {
		write_line(writer, VMT_STYLE_PLAIN, "There is no snapshot of its memory yet.");
		return;
	}
	vmt_sentence_say(&line, "RSS %s at %s", vmt_units_bytes(bytes, now->rss_bytes),
			 duration(other, now->time_ns));
	vmt_sentence_say(&line, " (%s %s", now->is_live ? "now" : "last",
			 vmt_units_bytes(bytes, now->last_rss_bytes));
	vmt_sentence_say(&line, ", peak %s)", vmt_units_bytes(bytes, now->peak_rss_bytes));
	if (now->limit_bytes != VMT_FIGURE_UNKNOWN)
		vmt_sentence_say(&line, ", %s of its cgroup's limit of %s",
				 vmt_units_ratio(percent, now->rss_bytes, now->limit_bytes),
				 vmt_units_bytes(bytes, now->limit_bytes));
	say_growth(&line, writer->table);
	write_line(writer, VMT_STYLE_PLAIN, text);
}

static void
write_head(struct writer *writer)
{
	const struct vmt_top_reading *now = &writer->table->now;
	char text[VMT_LAYOUT_LINE_BYTES];

	snprintf(text, sizeof(text), "%" PRIu32 "  %s  (%s%s)", now->pid, now->command, now->state,
		 writer->look->is_paused ? "; paused" : "");
	write_line(writer, VMT_STYLE_TITLE, text);
	write_rss(writer);
	if (now->note[0])
		write_line(writer, VMT_STYLE_ALARM, now->note);
}

/* Of a directory: all that run, together. */
static void
write_head_of_processes(struct writer *writer)
{
	const struct vmt_top_reading *now = &writer->table->now;
	char text[VMT_LAYOUT_LINE_BYTES];

	snprintf(text, sizeof(text), "%s  (%s%s)", now->command, now->state,
		 writer->look->is_paused ? "; paused" : "");
	write_line(writer, VMT_STYLE_TITLE, text);
	if (now->note[0])
		write_line(writer, VMT_STYLE_ALARM, now->note);
}

static void
write_titles(struct writer *writer, size_t shown, size_t all)
{
	static const char *const what[] = {[VMT_TOP_SITES] = "CALL SITE",
					   [VMT_TOP_CLASSES] = "CLASS",
					   [VMT_TOP_PROCESSES] = "PROCESS"};
	const struct vmt_top_look *look = writer->look;
	char text[VMT_LAYOUT_LINE_BYTES];
	struct vmt_sentence line = {text, sizeof(text), 0};

	text[0] = '\0';
	vmt_sentence_say(&line, "%10s ", "RESIDENT");
	if (!look->is_once)
		vmt_sentence_say(&line, "%11s %11s ", "GROWTH", "PER SECOND");
	if (look->view != VMT_TOP_PROCESSES)
		vmt_sentence_say(&line, "%10s ", "RESERVED");
	vmt_sentence_say(&line, " %s", what[look->view]);
	vmt_sentence_say(&line, "  (by %s", vmt_top_orders[look->order]);
	if (look->filter && *look->filter)
		vmt_sentence_say(&line, "; %zu of %zu have \"%s\"", shown, all, look->filter);
	vmt_sentence_say(&line, ")");
	write_line(writer, VMT_STYLE_DIM, text);
}

static void
write_row(struct writer *writer, const struct vmt_top_row *row)
{
	const struct vmt_top_item *item = row->item;
	char text[VMT_LAYOUT_LINE_BYTES];
	struct vmt_sentence line = {text, sizeof(text), 0};
	char bytes[VMT_UNITS_BYTES];
	char by[32];

	text[0] = '\0';
	vmt_sentence_say(&line, "%c%9s ", item->estimate ? '~' : ' ',
			 vmt_units_bytes(bytes, item->committed_bytes));
	if (!writer->look->is_once) {
		vmt_sentence_say(&line, "%11s ",
				 row->growth_known ? change(by, sizeof(by), row->growth_bytes)
						   : "?");
		vmt_sentence_say(&line, "%11s ",
				 row->rate_known ? change(by, sizeof(by), row->rate_bytes) : "-");
	}
	if (writer->look->view != VMT_TOP_PROCESSES)
		vmt_sentence_say(&line, "%10s ", vmt_units_bytes(bytes, item->reserved_bytes));
	vmt_sentence_say(&line, " %s%s%s", item->kind, item->kind[0] ? " " : "", item->name);
	if (item->callers[0])
		vmt_sentence_say(&line, " <- %s", item->callers);
	write_line(writer, VMT_STYLE_PLAIN, text);
}

static void
write_rest(struct writer *writer, size_t count, size_t shown)
{
	const struct vmt_top_reading *now = &writer->table->now;
	size_t left_out = now->left_out[writer->look->view];
	char text[160];

	if (writer->look->view == VMT_TOP_SITES && !now->has_sites)
		write_line(writer, VMT_STYLE_DIM,
			   "No call of it is recorded: there are classes alone.");
	else if (count == 0 && now->has_snapshot)
		write_line(writer, VMT_STYLE_DIM, "(no row)");
	if (writer->look->height == 0 && count > shown) {
		snprintf(text, sizeof(text), "(%zu more rows)", count - shown);
		write_line(writer, VMT_STYLE_DIM, text);
	}
	if (left_out > 0 && shown == count) {
		snprintf(text, sizeof(text), "(%zu smaller ones are left out)", left_out);
		write_line(writer, VMT_STYLE_DIM, text);
	}
}

size_t
vmt_top_text_write(const struct vmt_top_table *table, const struct vmt_top_look *look,
		   const struct vmt_layout *layout, vmt_top_text_put *put, void *context)
{
	struct writer writer = {table, look, layout, put, context, 0};
	size_t most = look->most_rows ? look->most_rows : SIZE_MAX;
	size_t count;
	struct vmt_top_row *rows =
	    vmt_top_table_rows(table, look->view, look->order, look->filter, &count);
	size_t shown = 0;

	if (!rows)
		return SIZE_MAX;
	if (look->view == VMT_TOP_PROCESSES)
		write_head_of_processes(&writer);
	else
		write_head(&writer);
	write_titles(&writer, count, table->now.counts[look->view]);
	for (size_t i = look->first_row; i < count && shown < most; i++, shown++)
		write_row(&writer, &rows[i]);
	write_rest(&writer, count, shown);
	free(rows);
	return count;
}
