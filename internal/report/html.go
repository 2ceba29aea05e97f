package report

import (
	"fmt"
	"html"
	"io"
	"strings"
)

const style = `body{font:14px/1.5 system-ui,Helvetica,Arial,sans-serif;color:#1c1c1c;background:#fff;max-width:960px;margin:32px auto;padding:0 20px}
h1{font-size:22px;margin:0 0 4px}h2{font-size:16px;margin:32px 0 8px;border-bottom:1px solid #ccc;padding-bottom:4px}
table{border-collapse:collapse;margin:8px 0;font-variant-numeric:tabular-nums;width:100%}caption{text-align:left;font-weight:600;padding:6px 0}
th,td{padding:4px 10px 4px 0;text-align:left;border-bottom:1px solid #e3e3e3;vertical-align:top}thead th{border-bottom:1.5px solid #1c1c1c;border-top:1.5px solid #1c1c1c}
.r{text-align:right}.note,.facts{font-size:12px;color:#555}.facts code{overflow-wrap:anywhere}.warn{border-left:4px solid #D55E00;padding:6px 12px;background:#fff6f0;margin:8px 0}
.unlike{border:2px solid #D55E00;padding:8px 12px;font-weight:700;margin:12px 0}figure{margin:16px 0;break-inside:avoid}figure svg{max-width:100%;height:auto}figcaption{font-size:12px;color:#555}
.wide{overflow-x:auto}.many{font-size:11px}.many th,.many td{padding-right:7px}.many .r{white-space:nowrap}@page{size:A4;margin:16mm}@media print{body{margin:0;max-width:none;font-size:12px}table{break-inside:avoid}h2{break-after:avoid}.page{break-before:page}.wide{overflow:visible}.many{font-size:8.5px}.many th,.many td{padding-right:4px}}`

// HTML writes the document as one file that loads nothing.
func (d *Document) HTML(w io.Writer) error {
	var b strings.Builder
	e := html.EscapeString
	fmt.Fprintf(&b, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>%s</title><style>%s</style></head><body>\n", e(d.Title), style)
	fmt.Fprintf(&b, "<h1>%s</h1>\n", e(d.Title))
	if d.Unlike {
		fmt.Fprintf(&b, "<div class=\"unlike\">%s</div>\n", e(marked))
	}
	if d.Lead != "" {
		fmt.Fprintf(&b, "<p>%s</p>\n", e(d.Lead))
	}
	for _, block := range d.Blocks {
		switch x := block.(type) {
		case Heading:
			fmt.Fprintf(&b, "<h2>%s</h2>\n", e(string(x)))
		case Page:
			fmt.Fprintf(&b, "<h2 class=\"page\">%s</h2>\n", e(string(x)))
		case Text:
			fmt.Fprintf(&b, "<p>%s</p>\n", e(string(x)))
		case Warning:
			fmt.Fprintf(&b, "<p class=\"warn\"><strong>Warning:</strong> %s</p>\n", e(string(x)))
		case List:
			b.WriteString("<ul>")
			for _, item := range x {
				fmt.Fprintf(&b, "<li>%s</li>", e(item))
			}
			b.WriteString("</ul>\n")
		case Table:
			x.html(&b)
		case Figure:
			fmt.Fprintf(&b, "<figure>%s<figcaption>%s</figcaption></figure>\n", x.SVG, e(x.Caption))
		}
	}
	b.WriteString("<h2>Where this is from</h2>\n<div class=\"facts\">")
	for _, f := range d.Facts {
		fmt.Fprintf(&b, "<div>%s: <code>%s</code></div>", e(f[0]), e(f[1]))
	}
	b.WriteString("</div>\n</body></html>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *Table) html(b *strings.Builder) {
	class := ""
	if len(t.Columns) > 7 {
		class = ` class="many"`
	}
	fmt.Fprintf(b, "<div class=\"wide\"><table%s>", class)
	if t.Caption != "" {
		fmt.Fprintf(b, "<caption>%s</caption>", html.EscapeString(t.Caption))
	}
	right := make([]string, len(t.Columns))
	head := ""
	for i, c := range t.Columns {
		name, r := strings.CutPrefix(c, ">")
		if r {
			right[i] = ` class="r"`
		}
		head += fmt.Sprintf("<th%s>%s</th>", right[i], html.EscapeString(name))
	}
	if !t.headless() {
		b.WriteString("<thead><tr>" + head + "</tr></thead>")
	}
	b.WriteString("<tbody>")
	for _, r := range t.Rows {
		b.WriteString("<tr>")
		for i, c := range r {
			fmt.Fprintf(b, "<td%s>%s</td>", right[i], html.EscapeString(c))
		}
		b.WriteString("</tr>")
	}
	b.WriteString("</tbody></table></div>\n")
	for _, n := range t.Notes {
		fmt.Fprintf(b, "<p class=\"note\">%s</p>\n", html.EscapeString(n))
	}
}
