// SPDX-License-Identifier: Apache-2.0
// run: commands from a file, one JSON object a line; their results likewise.
#include "appliance/cli/commands/batch.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "appliance/cli/output/act_process.h"
#include "appliance/site/pin.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/print.h"
#include "cli/exit_code.h"
#include "encoding/file_kind.h"
#include "encoding/json.h"

namespace qpcseal::cli {

namespace {

using encoding::Json;

constexpr std::size_t kMaxLine = std::size_t{64} << 10, kMaxCommands = std::size_t{16} << 20;  // bytes

struct RunOptions {
  std::string file, journal;
  bool keep_going = false;
};

struct RunLine {
  std::uint64_t number = 0;
  std::string sha256;
  Json id;
  std::vector<std::string> words;
  bool needs_token = false;
};

[[noreturn]] void refuse_line(const std::string& file, std::uint64_t number, const std::string& why) {
  throw Error(ErrorKind::Malformed, file + ":" + std::to_string(number) + ": " + why,
              R"(a line is {"command": ["mek", "list"]}, with an "id" of your own if you like)");
}

RunLine parse_line(const CLI::App& root, const std::string& file, std::uint64_t number,
                   const std::string& text) {
  if (text.size() > kMaxLine) refuse_line(file, number, "more than 64 KiB");
  RunLine out;
  out.number = number;
  out.sha256 = sha256_hex(text);
  const Json line = encoding::parse_json(text, file + ":" + std::to_string(number));
  if (!line.is_object() || !line.contains("command") || !line.at("command").is_array())
    refuse_line(file, number, "no 'command'");
  for (const auto& [key, value] : line.items())
    if (key != "command" && key != "id") refuse_line(file, number, "a key '" + key + "' that is not known");
  out.id = line.value("id", Json());
  for (const Json& word : line.at("command")) {
    if (!word.is_string()) refuse_line(file, number, "a word of 'command' is no text");
    out.words.push_back(word.get<std::string>());
  }
  const CLI::App* command = named_command(root, out.words);
  if (command == nullptr) refuse_line(file, number, "no command that 'run' knows");
  if (std::ranges::find(out.words, "--pin-fd") != out.words.end())
    refuse_line(file, number, "--pin-fd belongs to 'run' itself");
  if (std::ranges::find(out.words, "--json") == out.words.end()) out.words.emplace_back("--json");
  out.needs_token = opens_token(*command);
  return out;
}

// All of it is read and understood before anything is done.
std::vector<RunLine> parse_lines(const CLI::App& root, const std::string& file) {
  std::vector<RunLine> out;
  const std::string text = read_text_file(file, kMaxCommands);
  with_context(file, [&] { encoding::refuse_other_kind(view(text), "a file of commands"); });
  std::uint64_t number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    if (line.ends_with('\r')) line.pop_back();
    at = end + 1;
    ++number;
    if (!line.empty()) out.push_back(parse_line(root, file, number, line));
  }
  return out;
}

// Which lines are done: "NUMBER SHA256\n" each, on the disk before the next line begins. A line is known by
// its text, wherever it stands: lines may be added to a file of commands, and a line that stands twice is
// done twice.
class Journal {
 public:
  explicit Journal(const std::string& path) : path_(path) {
    if (path.empty()) return;
    file_ = Fd(open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file_) throw_errno(path);
    read_done();
  }

  // Each line that was noted answers once.
  [[nodiscard]] bool take_done(const RunLine& line) {
    const auto found = done_.find(line.sha256);
    if (found == done_.end()) return false;
    done_.erase(found);
    return true;
  }

  void done(const RunLine& line) {
    if (!file_) return;
    const std::string text = std::to_string(line.number) + " " + line.sha256 + "\n";
    if (write(file_.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) throw_errno(path_);
    if (fdatasync(file_.get()) != 0) throw_errno(path_);
  }

 private:
  // What a kill left of its last line does not count, and is cut off.
  void read_done() {
    const std::string text = read_text_file(path_, kMaxCommands);
    const std::size_t whole = text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1;
    for (std::size_t at = 0; at < whole;) {
      const std::size_t end = text.find('\n', at), blank = text.find(' ', at);
      const std::string sha256 = blank < end ? text.substr(blank + 1, end - blank - 1) : "";
      const std::string number = text.substr(at, std::min(blank, end) - at);
      if (!encoding::is_hex(sha256, sizeof(Sha256Digest)) || number.empty() || number.size() > 9 ||
          number.find_first_not_of("0123456789") != std::string::npos)
        throw Error(ErrorKind::Malformed, path_ + " is no journal of 'qpcseal run'");
      done_.insert(sha256);
      at = end + 1;
    }
    if (whole < text.size() && ftruncate(file_.get(), static_cast<off_t>(whole)) != 0) throw_errno(path_);
  }

  std::string path_;
  Fd file_;
  std::multiset<std::string> done_;  // SHA-256, hex
};

void print_line(const RunLine& line, const nlohmann::ordered_json& rest) {
  nlohmann::ordered_json out{{"line", line.number}};
  if (!line.id.is_null()) out["id"] = nlohmann::ordered_json::parse(line.id.dump());
  out.update(rest);
  print(out.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

nlohmann::ordered_json result_of(const ActResult& done) {
  nlohmann::ordered_json out{{"exit_code", done.exit_code}};
  const auto said = nlohmann::ordered_json::parse(done.output, nullptr, false);
  if (said.is_discarded()) return out;  // it ended before it could say anything
  const bool failed = said.is_object() && said.contains("error");
  out[failed ? "error" : "result"] = failed ? said.at("error") : said;
  return out;
}

Report run_file(Context& context, const CLI::App& root, const RunOptions& options) {
  const std::vector<RunLine> lines = parse_lines(root, options.file);
  Journal journal(options.journal);
  AskedPin pin(context.pin_fd);
  Report report;
  for (const RunLine& line : lines) {
    if (journal.take_done(line)) {
      print_line(line, {{"skipped", "done in an earlier run"}});
      continue;
    }
    const ActResult done = run_act({line.words, line.needs_token ? pin.get() : nullptr, true});
    print_line(line, result_of(done));
    if (done.exit_code == 0) journal.done(line);
    if (done.exit_code != 0 && report.exit_code == 0) report.exit_code = done.exit_code;
    // A PIN that the token refused is not tried a second time.
    const bool refused = line.needs_token && done.exit_code == exit_code(ErrorKind::Token);
    if (done.interrupted || refused || (done.exit_code != 0 && !options.keep_going)) break;
  }
  return report;
}

}  // namespace

const CLI::App* named_command(const CLI::App& root, const std::vector<std::string>& words) {
  const CLI::App* at = &root;
  for (const std::string& word : words) {
    const CLI::App* next = nullptr;
    for (const CLI::App* one : at->get_subcommands([](const CLI::App*) { return true; }))
      if (one->get_name() == word) next = one;
    if (next == nullptr) break;
    at = next;
  }
  const bool is_leaf = at->get_subcommands([](const CLI::App*) { return true; }).empty();
  if (at == &root || !is_leaf || at->get_name() == "run" || at->get_name() == "shell") return nullptr;
  return at;
}

bool opens_token(const CLI::App& command) {
  return command.get_option_no_throw("--lock-timeout") != nullptr &&
         command.get_option_no_throw("--pin-fd") != nullptr &&
         command.get_option_no_throw("--pin-source") == nullptr;
}

const SecretBuffer* AskedPin::get() {
  if (pin_) return &*pin_;
  const site::Site site = site::Site::read(site::locate_home().site());
  if (!fd_ && site.pin_source != site::kTerminal) return nullptr;
  pin_ = site::read_pin(site.pin_source, fd_, site.token_label, site::MoreLines::Refused, at_interrupt_);
  return &*pin_;
}

void AskedPin::forget() {
  pin_.reset();
  fd_.reset();
}

void add_run(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand(
      "run", "Run the commands of a file, one JSON object a line; a result a line comes out");
  const auto options = std::make_shared<RunOptions>();
  command
      ->add_option("FILE", options->file,
                   R"(Lines {"command": ["encrypt-model", "--qpc", ...]}; - for standard input)")
      ->required();
  command->add_option(
      "--journal", options->journal,
      "Note here which lines are done, and skip those that are: the same command goes on after a kill");
  command->add_flag("--keep-going", options->keep_going, "Go on after a line that failed");
  command
      ->add_option("--pin-fd", context.pin_fd,
                   "Read the token's PIN from this descriptor, once for all lines")
      ->check(CLI::Range(0, 1023));
  command->callback([&app, &context, options] {
    context.command = [&app, &context, options] { return run_file(context, app, *options); };
  });
}

}  // namespace qpcseal::cli
