# Counts what Rust's test executables printed with --show-output. A test that printed a line beginning with "SKIP " and did not fail is
# skipped, not passed; so is one that is ignored. Prints each skip with its reason, then "counted PASSED FAILED SKIPPED".
#   awk -f tests/count.awk LOG...
/^running [0-9]+ tests?$/ { run++; name = ""; good = 0 }
/^successes:$/ { good = 1; name = "" }
/^failures:$/ { good = 0; name = "" }
/^---- .* stdout ----$/ { name = $2 }
/^SKIP / {
  if (good && name != "") {
    print
    if (!seen[run, name]++) skipped++
  }
}
# Helpers are processes of other tests, which run them.
/^test .* \.\.\. ignored/ && $2 !~ /::helper_/ {
  reason = $0
  sub(/^.* \.\.\. ignored,? ?/, "", reason)
  print "SKIP " $2 ": " (reason == "" ? "ignored" : reason)
  ignored++
}
/^test result: / {
  for (i = 1; i <= NF; i++) {
    if ($i == "passed;") passed += $(i - 1)
    if ($i == "failed;") failed += $(i - 1)
  }
}
END { printf "counted %d %d %d\n", passed - skipped, failed, skipped + ignored }
