# mkman.awk - a man page from the comments of a public header
#
#	awk -f mkman.awk -v version=0.1.0 include/podnet/netns.h > podnet_netns.3
#
# The head comment ("podnet/x.h - what it is", then prose) is NAME and DESCRIPTION.  The
# declarations, without include guards and C++ braces, are SYNOPSIS.  Each comment that starts with
# two stars is an entry; where it does not name what it is about, the declaration behind it does.
# Lines "@name: ..." are parameters, "Return: ..." is kept as a paragraph.  Plain awk (mawk is
# enough), so that building needs nothing else.

function esc(s)
{
	gsub(/\\/, "\\e", s)
	gsub(/-/, "\\-", s)
	if (s ~ /^[.']/)
		s = "\\&" s
	return s
}

# text of a comment line without its frame
function inner(s)
{
	sub(/^[ \t]*\/\*\*?[ \t]?/, "", s)
	sub(/[ \t]*\*\/[ \t]*$/, "", s)
	sub(/^[ \t]*\* ?/, "", s)
	return s
}

function plain_mode() { if (literal) print ".EE"; literal = 0 }

# one line of prose; indented lines are shown as they are
function prose(s)
{
	if (s ~ /^(\t|  )/ && !tagged) {
		if (!literal) { print ".PP"; print ".EX" }
		literal = 1
		print esc(s)
		return
	}
	plain_mode()
	if (s == "") { print ".PP"; tagged = 0; return }
	if (s ~ /^@[a-z_]+:/) {
		name = s; sub(/:.*/, "", name); sub(/^@/, "", name)
		sub(/^@[a-z_]+:[ \t]*/, "", s)
		tagged = 1; print ".TP"; print ".I " name
		if (s != "") print esc(s)
		return
	}
	if (s ~ /^(Return|Source):/) {
		word = s; sub(/:.*/, "", word); sub(/^[A-Za-z]+:[ \t]*/, "", s)
		tagged = 1; print ".TP"; print ".B " word
		if (s != "") print esc(s)
		return
	}
	sub(/^[ \t]+/, "", s)
	print esc(s)
}

# the name that a declaration declares
function declared(s,    m)
{
	if (s ~ /^(struct|enum) /) { m = s; sub(/ *[{;].*/, "", m); return m }
	if (match(s, /podnet_[a-z0-9_]+\(/)) return substr(s, RSTART, RLENGTH - 1) "()"
	return ""
}

{ line[NR] = $0 }

END {
	file = FILENAME; sub(/.*\//, "", file); sub(/\.h$/, "", file)
	page = file == "podnet" ? "podnet" : "podnet_" file
	for (i = 1; i <= NR && line[i] !~ /podnet\/[a-z]+\.h - /; i++) ;
	head = i
	what = line[i]; sub(/.*\.h - /, "", what)
	for (end = i; line[end] !~ /\*\//; end++) ;

	print ".\\\" Made from include/podnet/" file ".h by mkman.awk."
	print ".TH " page " 3 \"\" \"podnet " version "\" \"libpodnet\""
	print ".SH NAME"
	print page " \\- " esc(what)
	print ".SH SYNOPSIS"
	print ".nf"
	print ".B #include <podnet/" file ".h>"
	print ".PP"
	print ".B cc ... $(pkg\\-config \\-\\-cflags \\-\\-libs podnet)"
	print ".fi"
	print ".SH DESCRIPTION"
	for (i = head + 1; i < end; i++)
		if (i > head + 1 || inner(line[i]) != "")
			prose(inner(line[i]))
	plain_mode()

	print ".SH DECLARATIONS"
	for (i = end + 1; i <= NR; i++) {
		if (line[i] ~ /^[ \t]*\/\*/ && line[i] !~ /^\t/) { entry(); continue }
		if (line[i] ~ /^#(ifndef|endif|ifdef|include)/ || line[i] ~ /^extern|^}$/ ||
		    line[i] ~ /^#define PODNET_[A-Z]+_H$/)
			continue
		show(line[i])
	}
	code_end()
	print ".SH SEE ALSO"
	print ".BR podnet (3),"
	print ".BR podnet_context (3),"
	print ".BR podnet_plan (3),"
	print ".BR netd (8)"
}

# a line of C
function show(s)
{
	if (s == "" && !code) return
	if (!code) { print ".PP"; print ".EX" }
	code = 1
	sub(/^PODNET_API /, "", s)
	print s == "" ? "" : esc(s)
}

function code_end() { if (code) print ".EE"; code = 0 }

# a comment at the left margin, from line i on
function entry(    first, last, title, s, k)
{
	first = i
	for (last = i; line[last] !~ /\*\//; last++) ;
	doc = line[first] ~ /^\/\*\*/
	code_end()
	k = last + 1
	title = doc ? declared(line[k]) : ""
	if (title != "") { print ".SS " esc(title) }
	else print ".PP"
	for (i = first; i <= last; i++) {
		s = inner(line[i])
		if (s == "" && (i == first || i == last)) continue
		sub(/^podnet_[a-z0-9_]+\(\) - /, "", s)
		prose(s)
	}
	plain_mode()
	tagged = 0
	i = last
}
