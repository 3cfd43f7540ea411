// SPDX-License-Identifier: Apache-2.0
// The inputs of an evaluation, as plain values. The release and seal rooms fill them from verified claims,
// the log and the command.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"

namespace qpcseal::policy {

struct MeasurementFact {
  std::string name;
  Bytes digest;
  std::optional<std::uint64_t> svn;
};

struct SubmodFact {
  std::string name;
  unsigned dbgstat = 0;
  std::vector<MeasurementFact> measurements;
};

// A card's claims, whose signature and path have been verified.
struct CardFacts {
  std::string scheme;
  Bytes root;                 // SHA-256 of the root certificate
  bool crls_current = false;  // a current CRL from every issuer on the path
  Bytes ueid;
  std::optional<std::uint64_t> oemid;  // no value: the evidence does not say
  std::optional<Bytes> hwmodel;
  std::optional<std::string> hwversion;
  std::optional<bool> oemboot;
  unsigned dbgstat = 0;
  std::optional<std::string> lifecycle;  // "test", "development", "secured", "rma"
  std::string session_key;               // "p256", "p384", "rsa"; empty: none
  std::string session_key_fault;         // why there is none
  Bytes aud, nonce;                      // as the report has them
  std::vector<MeasurementFact> measurements;
  std::vector<SubmodFact> submods;
};

// The challenge that the report answers, from the log. `known` is false where the log has none with the
// nonce; the other members then have no meaning.
struct ChallengeFacts {
  bool known = false;
  bool consumed = false;  // by an earlier transaction than this
  Bytes aud;              // this appliance's
  Bytes nonce;
  Bytes mek_id;
  std::optional<Bytes> ueid;
  UnixTime made = 0, expiry = 0;
};

struct MekFacts {
  std::string label;  // name#generation
  Bytes id;
  std::uint64_t releases = 0;     // so far
  std::uint64_t encryptions = 0;  // so far
};

// A floor: the least security version that earlier releases demanded, from the log. It only rises.
struct SvnFloor {
  std::string scheme;
  Bytes hwmodel;     // empty where the scheme has none
  std::string name;  // of the measurement; "submodule/name" in a submodule
  std::uint64_t svn = 0;

  bool operator==(const SvnFloor&) const = default;
};

// The collateral bundle in force (roots and CRLs apart), where there is one.
struct CollateralFacts {
  bool present = false;
  std::uint64_t serial = 0;
  UnixTime not_before = 0, not_after = 0;  // fresh in [not_before, not_after)
  std::vector<Bytes> revoked_ueids;
  std::map<std::string, std::vector<Bytes>> references;  // name -> digests
};

// One release of one MEK to one card.
struct Facts {
  UnixTime now = 0;
  MekFacts mek;
  std::string format = "qpcseal";  // or "vendor"
  unsigned suite = 0;              // of format "qpcseal"
  CardFacts card;
  ChallengeFacts challenge;
  CollateralFacts collateral;
  std::uint64_t releases_wanted = 1;  // of this MEK in the whole transaction, all cards
  std::uint64_t card_releases = 0;    // to this card so far, of all keys
  std::vector<SvnFloor> svn_floors;   // the log's; those of other models do not count
};

// One run of the vendor's tool with the MEK in the clear, apart from the releases that it makes.
struct ExposeFacts {
  UnixTime now = 0;
  MekFacts mek;
};

// One model sealed under one MEK.
struct SealFacts {
  // A segment that a host may need to read and could not: why it is sealed whole.
  struct Whole {
    std::string segment, why;
  };
  UnixTime now = 0;
  MekFacts mek;
  std::string mode;                    // "token" or "envelope"
  std::vector<std::string> segments;   // all that are to be sealed
  std::vector<std::string> available;  // the container's non-empty segments
  std::vector<Whole> whole;            // network.elf and other ELF files
  std::uint64_t encryptions_wanted = 0;
};

}  // namespace qpcseal::policy
