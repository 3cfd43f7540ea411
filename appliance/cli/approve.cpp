#include <memory>

#include "appliance/cli/app.h"
#include "appliance/cli/sign.h"
#include "appliance/release/approvals.h"
#include "appliance/release/genesis.h"
#include "base/error.h"

namespace qpcseal::cli {

namespace {

// A request for approval, its rejection, or an appliance's genesis.
Signing signing_of(const std::string& path, bool reject) {
  const std::string text = release::read_text_file(path, release::kMaxApprovalRequest);
  if (release::is_genesis_text(text)) {
    if (reject) throw Error(ErrorKind::Usage, "a genesis is not rejected: leave it unsigned");
    release::check_genesis_text(text);
    return {path, text, text, "approval@qpcseal"};
  }
  const release::ApprovalRequest request =
      with_context(path, [&] { return release::parse_approval_request(text); });
  const std::string name_space(release::approval_namespace(request.operation));
  if (!reject) return {path, text, text, name_space};
  const std::string rejection = release::rejection_text(text);
  return {path + ".rejection", rejection, text + "\nYou REJECT this request. What you sign is:\n" + rejection,
          name_space};
}

}  // namespace

void add_approve(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("approve", "Sign a request for approval, or a genesis, with an officer's own token");
  auto path = std::make_shared<std::string>();
  auto reject = std::make_shared<bool>(false);
  command
      ->add_option("FILE", *path, "The request ('qpcseal request new') or genesis ('qpcseal genesis show')")
      ->required();
  command->add_flag("--reject", *reject, "Sign a rejection of the request instead");
  auto options = add_sign_options(*command, context);
  command->callback([&context, path, reject, options] {
    context.command = [&context, path, reject, options] {
      return sign(context, signing_of(*path, *reject), *options);
    };
  });
}

}  // namespace qpcseal::cli
