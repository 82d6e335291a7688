//! German.

use super::{Said, Words};
use crate::RejectionCode;

pub(super) const WORDS: Words = Words {
    try_now: "Jetzt versuchen",
    try_again: "Noch einmal versuchen",
    by_itself: "Diese Seite fragt alle paar Sekunden von selbst nach.",
    next: "Nächster Versuch in {n} s",
    trying: "Versuch läuft…",
    offline: "Warten auf Ihre Verbindung",
    opening: "Wird geöffnet…",
    keeps_trying: "Diese Seite versucht es von selbst weiter.",
    not_yet: "Noch nicht. Nächster Versuch in {n} Sekunden.",
    code: "Code",
    session: "Sitzung",
    time: "Zeit",
    machine: "Maschine",
    owner: "Besitzer",
    technical: "Was geschehen ist, in technischen Worten (Englisch)",
};

const TELL_THEM: &str = "Das können die Betreiber dieser Website beheben. Die Zeilen unten sagen ihnen, wonach sie suchen müssen.";
const GO_BACK: &str =
    "Warten Sie einen Moment, gehen Sie dann zurück und versuchen Sie es noch einmal.";
const CHECK_FIRST: &str = "Es ist nicht sicher, ob angekommen ist, was Sie gesendet haben. Warten Sie einen Moment, gehen Sie zurück und sehen Sie nach, bevor Sie es noch einmal senden.";
const CHECK_THE_LINK: &str = "Wenn Sie einem Link gefolgt sind oder eine Adresse eingegeben haben, prüfen Sie, ob sie vollständig ist.";
const START_ANOTHER: &str = "Starten Sie eine neue, um weiterzumachen.";

pub(super) const TOO_LARGE: Said = Said::ended(
    "Das konnte nicht weitergegeben werden",
    "Ein anderer Computer führt diese Sitzung aus, und was Sie gesendet haben, ist zu groß, um dorthin gebracht zu werden, oder sagt nicht, wie groß es ist.",
    "Wenn es eine Datei war, versuchen Sie es mit einer kleineren.",
);

const fn fault(headline: &'static str, sentence: &'static str) -> Said {
    Said::ended(headline, sentence, TELL_THEM)
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
pub(super) fn said(code: RejectionCode) -> Said {
    match code {
        RejectionCode::SessionMalformed => Said::ended(
            "Es ist nicht klar, was geöffnet werden soll",
            "Der Teil der Anfrage, der sagen soll, welche Sitzung Sie möchten, ist nicht lesbar.",
            CHECK_THE_LINK,
        ),
        RejectionCode::SessionMissing => Said::ended(
            "Es wurde nichts zum Öffnen gewählt",
            "Die Anfrage sagt nicht, welche Sitzung Sie möchten.",
            CHECK_THE_LINK,
        ),
        RejectionCode::SessionUnknown => Said::ended(
            "Diese Sitzung gibt es nicht",
            "Diese Website kennt keine Sitzung mit diesem Namen.",
            CHECK_THE_LINK,
        ),
        RejectionCode::SessionOver => Said::ended(
            "Diese Sitzung ist beendet",
            "Sie wurde geschlossen, oder ihre Zeit ist abgelaufen. Sie kommt nicht wieder.",
            START_ANOTHER,
        ),
        RejectionCode::SessionForbidden => Said::ended(
            "Diese Sitzung ist nicht für Sie geöffnet",
            "Diese Website hat Ihre Anfrage nicht zugelassen.",
            "Wenn Sie meinen, dass sie es sollte, fragen Sie die Person, von der Sie den Zugang haben.",
        ),
        RejectionCode::SessionUnregistered => Said::passing(
            "Das konnte nicht beginnen",
            "Was Sie angefordert haben, konnte gerade nicht gestartet werden.",
            "Sie können diese Seite offen lassen: Sie versucht es von selbst noch einmal.",
            "Bitte gehen Sie zurück und versuchen Sie es noch einmal.",
        ),
        RejectionCode::SessionStarting => Said::passing(
            "Diese Seite startet",
            "Sie ist noch nicht bereit.",
            "Sie können diese Seite offen lassen: Sie öffnet sich von selbst, sobald sie bereit ist.",
            GO_BACK,
        ),
        RejectionCode::SessionUnassigned => Said::passing(
            "Diese Seite läuft nicht",
            "Der Computer, auf dem sie lief, hat sie abgegeben, und kein anderer hat sie übernommen.",
            "Sie können diese Seite offen lassen: Sie sieht ab und zu nach und öffnet sich von selbst, wenn ein Computer sie übernimmt.",
            GO_BACK,
        ),
        RejectionCode::SessionMoving => Said::passing(
            "Diese Seite zieht um",
            "Ein anderer Computer übernimmt sie gerade.",
            "Sie können diese Seite offen lassen: Sie öffnet sich in wenigen Sekunden von selbst.",
            GO_BACK,
        ),
        RejectionCode::OwnerLost => Said::passing(
            "Von dieser Seite ist nichts mehr zu hören",
            "Der Computer, auf dem sie läuft, hat sich seit einer Weile nicht gemeldet.",
            "Sie können diese Seite offen lassen: Sie versucht es weiter und öffnet sich von selbst, wenn dieser Computer zurück ist oder ein anderer seinen Platz eingenommen hat.",
            CHECK_FIRST,
        ),
        RejectionCode::OwnerNeverSeen => Said::passing(
            "Diese Seite läuft noch nicht",
            "Der Computer, auf dem sie laufen soll, ist nicht gestartet oder wurde nie eingerichtet.",
            "Sie können diese Seite offen lassen: Sie versucht es weiter und öffnet sich von selbst, wenn dieser Computer startet.",
            GO_BACK,
        ),
        RejectionCode::DuplicateIdentity => Said::passing(
            "Diese Seite lässt sich gerade nicht öffnen",
            "Zwei Computer sagen, dass sie diese Seite ausführen, und dieser hier hat aufgehört.",
            "Sie können diese Seite offen lassen: Sie versucht es weiter und öffnet sich von selbst.",
            GO_BACK,
        ),
        RejectionCode::ReplayNotHonoured => fault(
            "Diese Seite ist an einem anderen Ort",
            "Ein anderer Computer führt sie aus, und Ihre Anfrage wurde nicht dorthin gebracht.",
        ),
        RejectionCode::OwnerUnreachable => Said::passing(
            "Diese Seite ist gerade nicht erreichbar",
            "Der Computer, auf dem sie läuft, war nicht zu erreichen.",
            "Sie können diese Seite offen lassen: Sie versucht es weiter und öffnet sich von selbst, wenn dieser Computer antwortet.",
            CHECK_FIRST,
        ),
        RejectionCode::ReplayLoop => fault(
            "Der Weg zu dieser Seite wurde nicht gefunden",
            "Ihre Anfrage wurde von einem Computer zum nächsten gereicht, und auf keinem von ihnen läuft diese Seite.",
        ),
        RejectionCode::NotReplayable => fault(
            "Das konnte nicht weitergebracht werden",
            "Ein anderer Computer führt diese Sitzung aus, und Ihre Anfrage konnte nicht dorthin gebracht werden.",
        ),
        RejectionCode::SessionAbsent => Said::ended(
            "Diese Sitzung ist verloren gegangen",
            "Der Computer, auf dem sie laufen sollte, hat sie nicht mehr. Warten bringt sie nicht zurück.",
            START_ANOTHER,
        ),
        RejectionCode::DirectoryCorrupt => fault(
            "Diese Seite lässt sich nicht öffnen",
            "Was darüber verzeichnet ist, wo sie läuft, ist nicht brauchbar.",
        ),
        RejectionCode::LookupUnavailable => Said::passing(
            "Einen Moment bitte",
            "Diese Website konnte nicht nachsehen, wo Ihre Seite ist. Über die Seite selbst sagt das nichts.",
            "Sie können diese Seite offen lassen: Sie versucht es weiter und öffnet sich von selbst.",
            GO_BACK,
        ),
    }
}
