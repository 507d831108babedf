#include "tools/render/emitter.h"

#include "tools/utf8.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

void
vmt_emitter_begin(struct vmt_emitter *emitter, FILE *file, enum vmt_emitter_form form)
{
	*emitter = (struct vmt_emitter){.file = file, .form = form};
}

int
vmt_emitter_finish(struct vmt_emitter *emitter, struct vmt_err *err)
{
	assert(emitter->depth == 0);
	errno = 0;
	if (fflush(emitter->file) == 0 && !ferror(emitter->file))
		return 0;
	return vmt_err_set(err, EIO, "can't write the output: %s",
			   errno != 0 ? strerror(errno) : "write error");
}

static void
put_ascii(FILE *file, unsigned char byte)
{
	static const char short_forms[] = "\"\"\\\\\bb\ff\nn\rr\tt";

	for (const char *at = short_forms; *at != '\0'; at += 2) {
		if ((unsigned char)*at == byte) {
			fprintf(file, "\\%c", at[1]);
			return;
		}
	}
	if (byte < ' ' || byte == 0x7f)
		fprintf(file, "\\u%04x", byte);
	else
		fputc(byte, file);
}

static void
put_quoted(FILE *file, const char *text, size_t length)
{
	const char *end = text + length;

	fputc('"', file);
	while (text < end) {
		uint32_t code;
		size_t step = vmt_utf8_decode(text, (size_t)(end - text), &code);

		if (step == 0)
			fputs("\\ufffd", file);
		else if (step == 1)
			put_ascii(file, (unsigned char)code);
		else if (vmt_utf8_is_harmful(code)) /* all of them have four digits */
			fprintf(file, "\\u%04x", (unsigned)code);
		else
			fwrite(text, step, 1, file);
		text += step ? step : 1;
	}
	fputc('"', file);
}

/* Text a person reads as it is: no blank, quote, control or foreign byte, and not empty. */
static bool
is_plain(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (!isgraph((unsigned char)text[i]) || text[i] == '"' || text[i] == '\\')
			return false;
	}
	return length > 0;
}

static void
indent(struct vmt_emitter *emitter)
{
	fputc('\n', emitter->file);
	for (unsigned i = 0; i < emitter->depth; i++)
		fputs("  ", emitter->file);
}

/* What comes before a value: separator and key. */
static void
before_value(struct vmt_emitter *emitter, const char *key)
{
	bool text = emitter->form == VMT_EMITTER_TEXT;

	if (emitter->depth == 0)
		return;
	if (emitter->has_value[emitter->depth])
		fputc(text ? ' ' : ',', emitter->file);
	emitter->has_value[emitter->depth] = true;
	if (emitter->form == VMT_EMITTER_JSON)
		indent(emitter);
	if (key == NULL)
		return;
	if (text) {
		fprintf(emitter->file, "%s=", key);
		return;
	}
	put_quoted(emitter->file, key, strlen(key));
	fputs(emitter->form == VMT_EMITTER_JSON ? ": " : ":", emitter->file);
}

static void
open_level(struct vmt_emitter *emitter, const char *key, char bracket)
{
	bool outermost = emitter->depth == 0;

	before_value(emitter, key);
	if (emitter->form != VMT_EMITTER_TEXT || !outermost)
		fputc(bracket, emitter->file);
	assert(emitter->depth < VMT_EMITTER_DEPTH);
	emitter->depth++;
	emitter->has_value[emitter->depth] = false;
}

static void
close_level(struct vmt_emitter *emitter, char bracket)
{
	bool had_value = emitter->has_value[emitter->depth];

	assert(emitter->depth > 0);
	emitter->depth--;
	if (emitter->form == VMT_EMITTER_JSON && had_value)
		indent(emitter);
	if (emitter->form != VMT_EMITTER_TEXT || emitter->depth > 0)
		fputc(bracket, emitter->file);
	if (emitter->depth == 0)
		fputc('\n', emitter->file);
}

void
vmt_emitter_object(struct vmt_emitter *emitter, const char *key)
{
	open_level(emitter, key, '{');
}

void
vmt_emitter_object_end(struct vmt_emitter *emitter)
{
	close_level(emitter, '}');
}

void
vmt_emitter_array(struct vmt_emitter *emitter, const char *key)
{
	open_level(emitter, key, '[');
}

void
vmt_emitter_array_end(struct vmt_emitter *emitter)
{
	close_level(emitter, ']');
}

void
vmt_emitter_bytes(struct vmt_emitter *emitter, const char *key, const char *text, size_t length)
{
	before_value(emitter, key);
	if (emitter->form == VMT_EMITTER_TEXT && is_plain(text, length))
		fwrite(text, length, 1, emitter->file);
	else
		put_quoted(emitter->file, text, length);
}

void
vmt_emitter_string(struct vmt_emitter *emitter, const char *key, const char *text)
{
	if (text != NULL) {
		vmt_emitter_bytes(emitter, key, text, strlen(text));
		return;
	}
	before_value(emitter, key);
	fputs("null", emitter->file);
}

void
vmt_emitter_u64(struct vmt_emitter *emitter, const char *key, uint64_t value)
{
	before_value(emitter, key);
	if (emitter->form != VMT_EMITTER_TEXT && value > INT64_MAX)
		value = INT64_MAX;
	fprintf(emitter->file, "%" PRIu64, value);
}

void
vmt_emitter_i64(struct vmt_emitter *emitter, const char *key, int64_t value)
{
	before_value(emitter, key);
	fprintf(emitter->file, "%" PRId64, value);
}

void
vmt_emitter_address(struct vmt_emitter *emitter, const char *key, uint64_t address)
{
	before_value(emitter, key);
	fprintf(emitter->file,
		emitter->form == VMT_EMITTER_TEXT ? "0x%" PRIx64 : "\"0x%" PRIx64 "\"", address);
}

void
vmt_emitter_bool(struct vmt_emitter *emitter, const char *key, bool value)
{
	before_value(emitter, key);
	fputs(value ? "true" : "false", emitter->file);
}

void
vmt_emitter_column(struct vmt_emitter *emitter, const char *key, int width, const char *text)
{
	if (emitter->form != VMT_EMITTER_TEXT) {
		vmt_emitter_string(emitter, key, text);
		return;
	}
	before_value(emitter, NULL);
	fprintf(emitter->file, "%*s", width, text);
}
