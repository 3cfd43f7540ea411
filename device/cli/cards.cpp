// SPDX-License-Identifier: Apache-2.0
// The commands that make, show and change cards.
#include <memory>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/error.h"
#include "base/table.h"
#include "device/card/config_json.h"
#include "device/card/policy_text.h"
#include "device/card/provision.h"
#include "device/cli/commands.h"

namespace qpcseal::device {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxPem = 16384;

struct CardChoice {
  std::string dir;
  unsigned number = 0;
  int minimum = -1;
  std::string seal_key, appliance = "any";
  bool policy = false, json = false;
};

CLI::Option* add_dir(CLI::App& app, std::string& dir) {
  return app.add_option("--dir", dir, "Folder of the simulated cards")->required();
}

void run_provision(const ProvisionOptions& options) {
  provision(options, SystemClock());
  print("provisioned " + std::to_string(options.cards) + (options.cards == 1 ? " card" : " cards") + " in " +
        options.dir.string() + "; the vendor's root is in " + options.roots_out.string() + "\n");
}

Json card_json(const std::string& dir, unsigned number) {
  const CardLock lock(dir, number);
  const BootState boot = read_boot(dir, number);
  Json out = {{"device", number}};
  out.update(config_json(read_config(dir, number)));
  out.erase("format");
  out["root_sha256"] = sha256_hex(read_identity(dir, number).chain.back());
  out["bootseed"] = to_hex(boot.bootseed);
  out["answered_requests"] = boot.answered_nonces.size();
  out["seal_key"] = read_seal_key(dir, number) != nullptr;
  return out;
}

Cells row(const Json& card) {
  return {std::to_string(card["device"].get<unsigned>()),
          card["ueid"].get<std::string>(),
          card["hwversion"].get<std::string>(),
          card["lifecycle"].get<std::string>(),
          std::to_string(card["dbgstat"].get<unsigned>()),
          card["session_key"].get<std::string>(),
          std::to_string(card["answered_requests"].get<std::size_t>()),
          card["seal_key"].get<bool>() ? "yes" : "no"};
}

int run_list(const CardChoice& choice) {
  Json cards = Json::array();
  for (const unsigned number : card_numbers(choice.dir)) cards.push_back(card_json(choice.dir, number));
  std::vector<Cells> rows = {
      {"QID", "UEID", "VERSION", "LIFECYCLE", "DBGSTAT", "SESSION KEY", "ANSWERED", "SEAL KEY"}};
  for (const Json& card : cards) rows.push_back(row(card));
  print(choice.json ? json_text(Json{{"devices", cards}}) : table(rows));
  return 0;
}

int run_describe(const CardChoice& choice) {
  const Json card = card_json(choice.dir, choice.number);  // also finds out whether there is such a card
  print(choice.policy ? policy_for(choice.dir, choice.number, SystemClock().now(), choice.appliance)
                      : json_text(card));
  return 0;
}

int run_set_seal_key(const CardChoice& choice, bool one) {
  const Bytes pem = read_file(choice.seal_key, kMaxPem);
  const std::vector<unsigned> numbers = one ? std::vector{choice.number} : card_numbers(choice.dir);
  for (const unsigned number : numbers) {
    with_context(choice.seal_key, [&] { write_seal_key(choice.dir, number, pem); });
    if (choice.minimum < 0) continue;
    const CardLock lock(choice.dir, number);
    CardConfig config = read_config(choice.dir, number);
    config.minimum_model_version = static_cast<std::uint64_t>(choice.minimum);
    write_config(choice.dir, number, config, Existing::Replace);
  }
  print("seal key set in " + std::to_string(numbers.size()) + (numbers.size() == 1 ? " card\n" : " cards\n"));
  return 0;
}

}  // namespace

void add_provision(CLI::App& app, Context& context) {
  const auto options = std::make_shared<ProvisionOptions>();
  const auto key = std::make_shared<std::string>("p256"),
             lifecycle = std::make_shared<std::string>("secured");
  CLI::App* command = app.add_subcommand("provision", "Make simulated cards, with a vendor of their own");
  command->add_option("--dir", options->dir, "Folder for the cards")->required();
  command->add_option("--cards", options->cards, "How many (default 1)")->check(CLI::Range(1U, kMaxCards));
  command->add_option("--roots-out", options->roots_out, "Where to put the vendor's root certificate (PEM)")
      ->required();
  command->add_flag("--debug", options->debug, "Cards with debugging enabled");
  command->add_option("--key", *key, "Type of the session keys (default p256)")
      ->check(CLI::IsMember({"p256", "p384", "rsa"}));
  command->add_option("--lifecycle", *lifecycle, "Stage of life (default secured)")
      ->check(CLI::IsMember({"test", "development", "secured", "rma"}));
  command->callback([&context, options, key, lifecycle] {
    context.command = [options, key, lifecycle] {
      options->session_key = attest::session_key_type(*key).value();
      options->lifecycle = lifecycle_from(*lifecycle);
      run_provision(*options);
      return 0;
    };
  });
}

void add_reset(CLI::App& app, Context& context) {
  const auto choice = std::make_shared<CardChoice>();
  CLI::App* command =
      app.add_subcommand("reset", "Boot a card anew: its session key and its memory are gone");
  add_dir(*command, choice->dir);
  command->add_option("--device,-d", choice->number, "Card number")->required();
  command->callback([&context, choice] {
    context.command = [choice] {
      reset_card(choice->dir, choice->number);
      print("card " + std::to_string(choice->number) + " was reset\n");
      return 0;
    };
  });
}

void add_set_seal_key(CLI::App& app, Context& context) {
  const auto choice = std::make_shared<CardChoice>();
  CLI::App* command = app.add_subcommand(
      "set-seal-key", "Give cards the appliance's seal verification key (PEM, Ed25519 or P-256)");
  add_dir(*command, choice->dir);
  command->add_option("--seal-key", choice->seal_key, "As `qpcseal trust show --seal-key` prints it")
      ->required();
  const CLI::Option* one =
      command->add_option("--device,-d", choice->number, "Only this card (default: all)");
  command
      ->add_option("--min-model-version", choice->minimum, "Refuse models with a smaller version from now on")
      ->check(CLI::NonNegativeNumber);
  command->callback([&context, choice, one] {
    const bool given = one->count() > 0;
    context.command = [choice, given] { return run_set_seal_key(*choice, given); };
  });
}

void add_list(CLI::App& app, Context& context) {
  const auto choice = std::make_shared<CardChoice>();
  CLI::App* command = app.add_subcommand("list", "Show all cards by number, as `qaic-util -q` does");
  add_dir(*command, choice->dir);
  command->add_flag("--json", choice->json, "Print the result as JSON");
  command->callback([&context, choice] { context.command = [choice] { return run_list(*choice); }; });
}

void add_describe(CLI::App& app, Context& context) {
  const auto choice = std::make_shared<CardChoice>();
  CLI::App* command = app.add_subcommand("describe", "Show one card as JSON, or a policy that fits it");
  add_dir(*command, choice->dir);
  command->add_option("--device,-d", choice->number, "Card number (default 0)");
  command->add_flag("--policy", choice->policy, "Print a complete policy.toml with explanations");
  command->add_option("--appliance", choice->appliance, "Of --policy: the one that it is for (default any)");
  command->add_flag("--json", choice->json, "Print JSON (it does so anyway, without --policy)");
  command->callback([&context, choice] { context.command = [choice] { return run_describe(*choice); }; });
}

}  // namespace qpcseal::device
