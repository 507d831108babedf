#include "tools/page/html.h"

#include "tools/page/gzip_base64.h"
#include "tools/utf8.h"

#include <errno.h>
#include <string.h>

/* page.S */
extern const char vmt_page_script[], vmt_page_script_end[];
extern const char vmt_page_style[], vmt_page_style_end[];
extern const char vmt_page_policy[], vmt_page_policy_end[];

static void
put_bundle(FILE *out, const char *bytes, const char *end)
{
	fwrite(bytes, 1, (size_t)(end - bytes), out);
}

/* Text of an element: no markup, and nothing that could hide what stands around it. */
static void
put_text(FILE *out, const char *text)
{
	for (size_t left = strlen(text), length; left > 0; text += length, left -= length) {
		uint32_t code;
		size_t known = vmt_utf8_decode(text, left, &code);

		length = known ? known : 1;
		if (!known || vmt_utf8_is_harmful(code))
			fputs("\xef\xbf\xbd", out); /* U+FFFD */
		else if (code == '<' || code == '>' || code == '&' || code == '"')
			fprintf(out, "&#%u;", code);
		else
			fwrite(text, 1, length, out);
	}
}

static void
put_head(FILE *out, const char *title)
{
	fputs("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	      "<meta http-equiv=\"Content-Security-Policy\" content=\"",
	      out);
	put_bundle(out, vmt_page_policy, vmt_page_policy_end);
	fputs("\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	      "<meta name=\"color-scheme\" content=\"light dark\">\n"
	      "<meta name=\"referrer\" content=\"no-referrer\">\n<title>",
	      out);
	put_text(out, title);
	fputs("</title>\n<style>", out);
	put_bundle(out, vmt_page_style, vmt_page_style_end);
	fputs(
	    "</style>\n</head>\n<body>\n<main><p>Reading the report…</p></main>\n"
	    "<noscript><p>This page needs JavaScript. <code>vmtrace report FILE</code> prints the "
	    "same figures as text.</p></noscript>\n",
	    out);
}

static int
put_data(FILE *out, vmt_html_data *write_data, void *argument, struct vmt_err *err)
{
	FILE *json = vmt_gzip_base64_open(out);
	int result;

	if (!json)
		return vmt_err_set(err, ENOMEM, "not enough memory for the HTML report");
	fputs("<script type=\"application/octet-stream\" id=\"vmtrace-data\">\n", out);
	result = write_data(argument, json, err);
	if (fclose(json) != 0 && result >= 0)
		result = vmt_err_set(err, EIO, "the HTML report could not be written");
	fputs("</script>\n", out);
	return result;
}

int
vmt_html_write(FILE *out, const char *title, vmt_html_data *write_data, void *argument,
	       struct vmt_err *err)
{
	int result;

	put_head(out, title);
	result = put_data(out, write_data, argument, err);
	fputs("<script>", out);
	put_bundle(out, vmt_page_script, vmt_page_script_end);
	fputs("</script>\n</body>\n</html>\n", out);
	return result < 0 ? result : 0;
}
